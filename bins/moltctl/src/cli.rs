//! The command line. The help of each command ends with an example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Drives a MoltBot home: its configuration, models, logs and daemon.
#[derive(Parser)]
#[command(
    name = "moltctl",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Examples:\n  moltctl init\n  moltctl status\n  moltctl chat --model primary-model"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// The home to work on [default: $MOLTBOT_HOME, else ~/.moltbot]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The workspace to work in [default: the one that `workspace use` chose, else default]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Print nothing but errors and what was asked for
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a commented home with a key for callers
    #[command(after_help = "Example:\n  moltctl init --yes --home ./home")]
    Init {
        /// Ask nothing
        #[arg(long, short)]
        yes: bool,
    },
    /// Show the daemon, its configuration, models and targets
    #[command(after_help = "Example:\n  moltctl status --output json")]
    Status,
    /// Watch models and targets live
    #[command(after_help = "Examples:\n  moltctl top\n  moltctl top --once --output json")]
    Top(Top),
    /// Talk to a model; /quit ends, /new forgets
    #[command(
        after_help = "Examples:\n  moltctl chat --model primary-model\n  echo 'Say hello' | moltctl chat"
    )]
    Chat {
        /// The model [default: the first one of the configuration]
        #[arg(long, short, value_name = "NAME")]
        model: Option<String>,
        /// Ask this one thing and leave
        #[arg(value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Read and change config/gateway.yaml
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl config set model.failover.enabled true"
    )]
    Config(Config),
    /// List, add, try and switch models
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl model switch primary-model --to secondary-model"
    )]
    Model(Model),
    /// Make, list and choose workspaces
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl workspace create --name finance-team"
    )]
    Workspace(Workspace),
    /// List, try and set the credentials that models are called with
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl auth check primary-model"
    )]
    Auth(Auth),
    /// Check the house; each finding names its cure
    #[command(after_help = "Examples:\n  moltctl doctor\n  moltctl doctor --security --fix")]
    Doctor {
        /// Look at exposure, keys, files and the audit log too
        #[arg(long)]
        security: bool,
        /// Take the permissions of others off private files first
        #[arg(long)]
        fix: bool,
    },
    /// Show who changed what
    #[command(after_help = "Examples:\n  moltctl audit\n  moltctl audit verify")]
    Audit {
        #[command(subcommand)]
        command: Option<Audit>,
    },
    /// Make, list, revoke and replace the keys of callers
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl key create --name ops --expires 90d"
    )]
    Key(Key),
    /// List, switch, try and use the channels where people talk to bots
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl channel simulate web --sender ann --text 'Where is order 42?'"
    )]
    Channel(Channel),
    /// Show what leaves for chat platforms, and what did not arrive
    #[command(subcommand, after_help = "Example:\n  moltctl outbox list")]
    Outbox(Outbox),
    /// Make, list, try, approve and install skills
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl skill run order-status --text \"/order 7\""
    )]
    Skill(Skill),
    /// Show and forget remembered answers
    #[command(subcommand, after_help = "Example:\n  moltctl cache stats")]
    Cache(Cache),
    /// Take a part away, measure what callers felt, and put it back
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl drill instance --model primary-model --report drill.md"
    )]
    Drill(Drill),
    /// Show log lines
    #[command(
        after_help = "Examples:\n  moltctl logs --level error --since 1h\n  moltctl logs --model code-generator --follow"
    )]
    Logs(Logs),
    /// Write what a monitoring stack needs to watch this home
    #[command(
        subcommand,
        after_help = "Example:\n  moltctl monitor init ./monitoring"
    )]
    Monitor(Monitor),
    /// Compare models on real calls
    #[command(
        subcommand,
        after_help = "Examples:\n  moltctl test create --name model-comparison --models '[\"model-a\",\"model-b\"]' --sample-size 1000\n  moltctl test report model-comparison"
    )]
    Test(Test),
    /// Show calls, tokens and money, by workspace, model, key and day
    #[command(
        after_help = "Examples:\n  moltctl usage --since 7d\n  moltctl usage --by model --output json"
    )]
    Usage(Usage),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  moltctl completions bash > /etc/bash_completion.d/moltctl")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  moltctl man > /usr/local/share/man/man1/moltctl.1")]
    Man,
}

#[derive(Subcommand)]
pub(crate) enum Skill {
    /// Make a folder with a skill to begin with
    #[command(after_help = "Example:\n  moltctl skill new greeter")]
    New {
        /// Its name
        name: String,
    },
    /// Show skills, how they are, and what went wrong last
    #[command(after_help = "Example:\n  moltctl skill list --output json")]
    List,
    /// Name every problem of a skill, or of all
    #[command(after_help = "Example:\n  moltctl skill validate greeter")]
    Validate {
        /// The skill [default: all]
        name: Option<String>,
    },
    /// Show which skills a text would wake, in their order, and why
    #[command(after_help = "Example:\n  moltctl skill match \"where is order 7\"")]
    Match {
        /// The text
        text: String,
        /// The channel in which it is said
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
    },
    /// Run a skill with a text; what was not granted it does without
    #[command(
        after_help = "Examples:\n  moltctl skill run greeter --text \"/greeter Ann\"\n  moltctl skill run units --args '{\"value\": 3}'"
    )]
    Run {
        /// The skill
        name: String,
        /// What is said
        #[arg(long, default_value = "")]
        text: String,
        /// Call it as a tool, with these arguments: a JSON object
        #[arg(long, value_name = "JSON")]
        args: Option<String>,
        /// Who says it
        #[arg(long, value_name = "ID")]
        sender: Option<String>,
        /// The channel in which it is said
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
    },
    /// Copy a skill's folder into the home
    #[command(after_help = "Example:\n  moltctl skill install ./examples/skills/units")]
    Install {
        /// The folder
        path: PathBuf,
        /// Replace a skill that is there
        #[arg(long)]
        force: bool,
    },
    /// Approve what a skill asks for, as it is now, and switch it on
    #[command(after_help = "Example:\n  moltctl skill enable order-status")]
    Enable {
        /// The skill
        name: String,
    },
    /// Switch a skill off
    #[command(after_help = "Example:\n  moltctl skill disable order-status")]
    Disable {
        /// The skill
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Config {
    /// Print the value in force
    #[command(after_help = "Example:\n  moltctl config get model.failover.retry_interval")]
    Get {
        /// The key, its parts joined by dots; a model by its name
        key: String,
        /// Print what the file says instead
        #[arg(long)]
        file: bool,
    },
    /// Change a value; comments and order stay
    #[command(
        after_help = "Examples:\n  moltctl config set model.failover.retry_interval 5000\n  moltctl config set models.primary-model.fallback secondary-model"
    )]
    Set {
        /// The key, its parts joined by dots; a model by its name
        key: String,
        /// The value, as YAML
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take a value out of the file
    #[command(after_help = "Example:\n  moltctl config unset model.retry.max")]
    Unset {
        /// The key, its parts joined by dots; a model by its name
        key: String,
    },
    /// Print every value in force
    #[command(after_help = "Example:\n  moltctl config show --origin")]
    Show {
        /// Name the layer, file and line of each value
        #[arg(long)]
        origin: bool,
    },
    /// Name every problem of the files
    #[command(after_help = "Example:\n  moltctl config validate")]
    Validate,
    /// Print the JSON schema of a file
    #[command(
        after_help = "Examples:\n  moltctl config schema > gateway.schema.json\n  moltctl config schema policy"
    )]
    Schema {
        /// gateway, models, policy or channels
        #[arg(default_value = "gateway")]
        file: String,
    },
    /// Show what the last change changed
    #[command(after_help = "Example:\n  moltctl config diff")]
    Diff,
    /// Let the daemon read its files now
    #[command(after_help = "Example:\n  moltctl config reload")]
    Reload,
    /// Take the last change back
    #[command(after_help = "Example:\n  moltctl config rollback")]
    Rollback,
}

#[derive(Subcommand)]
pub(crate) enum Workspace {
    /// Make a workspace, with commented files
    #[command(after_help = "Example:\n  moltctl workspace create --name finance-team")]
    Create {
        /// Its name: small letters, digits, - and _
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Choose the workspace of all commands that name none
    #[command(after_help = "Example:\n  moltctl workspace use finance-team")]
    Use {
        /// Its name
        name: String,
    },
    /// List the workspaces
    #[command(after_help = "Example:\n  moltctl workspace list --output json")]
    List,
    /// Show a workspace with its models and problems
    #[command(after_help = "Example:\n  moltctl workspace show finance-team")]
    Show {
        /// Its name [default: the one at hand]
        name: Option<String>,
    },
    /// Delete a workspace, its files and its secrets
    #[command(after_help = "Example:\n  moltctl workspace delete finance-team --yes")]
    Delete {
        /// Its name
        name: String,
        /// Ask nothing
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Cache {
    /// Count remembered answers, their bytes, hits and misses
    #[command(after_help = "Example:\n  moltctl cache stats --output json")]
    Stats,
    /// Forget the answers of all workspaces, or of the one that --workspace names
    #[command(
        after_help = "Examples:\n  moltctl cache clear\n  moltctl cache clear --workspace finance-team"
    )]
    Clear,
}

#[derive(Subcommand)]
pub(crate) enum Auth {
    /// List the credential of each model, and how it is
    #[command(after_help = "Example:\n  moltctl auth list --output json")]
    List,
    /// Really log in, and say what is to blame where that fails: secret, clock or server
    #[command(after_help = "Examples:\n  moltctl auth check\n  moltctl auth check primary-model")]
    Check {
        /// The model [default: all of them]
        model: Option<String>,
    },
    /// Write a secret to models/auth.json; it is asked for, or read from standard input
    #[command(
        after_help = "Examples:\n  moltctl auth set primary-model\n  moltctl auth set primary-model < key.txt\n  moltctl auth set primary-model --client-id gateway --token-url https://auth.example.com/token"
    )]
    Set(AuthSet),
    /// Take an entry out of models/auth.json
    #[command(after_help = "Example:\n  moltctl auth remove primary-model")]
    Remove {
        /// The entry: a model or a profile
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct AuthSet {
    /// The model
    pub(crate) model: String,
    /// For OAuth 2.0: the client, whose secret is asked for
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// For OAuth 2.0: where tokens are fetched
    #[arg(long, value_name = "URL")]
    pub(crate) token_url: Option<String>,
    /// For OAuth 2.0: what is asked for
    #[arg(long, value_name = "WORDS")]
    pub(crate) scope: Option<String>,
    /// The secret is a refresh token of OAuth 2.0
    #[arg(long)]
    pub(crate) refresh_token: bool,
}

#[derive(Subcommand)]
pub(crate) enum Model {
    /// List the models
    #[command(after_help = "Example:\n  moltctl model list --output json")]
    List,
    /// Show one model with its targets
    #[command(after_help = "Example:\n  moltctl model show primary-model")]
    Show {
        /// Its name
        name: String,
    },
    /// Add a model to gateway.yaml
    #[command(
        after_help = "Example:\n  moltctl model add offline-model --endpoint http://internal-proxy:8080/v1 --fallback echo"
    )]
    Add {
        /// Its name
        name: String,
        /// Base URL of the server that answers
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Wire dialect or vendor
        #[arg(long, default_value = "openai")]
        provider: String,
        /// The provider's own name of the model
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        /// chat, code, multimodal or embedding
        #[arg(long)]
        kind: Option<String>,
        /// The model that answers when this one can't
        #[arg(long, value_name = "NAME")]
        fallback: Option<String>,
        /// Environment variable that holds the API key
        #[arg(long, value_name = "VARIABLE")]
        key_env: Option<String>,
    },
    /// Take a model out of gateway.yaml
    #[command(after_help = "Example:\n  moltctl model remove offline-model")]
    Remove {
        /// Its name
        name: String,
    },
    /// Ask a model for one short answer
    #[command(after_help = "Example:\n  moltctl model test primary-model")]
    Test {
        /// Its name
        name: String,
    },
    /// Load a model file into data/models; a break is survived, a wrong checksum refused
    #[command(
        after_help = "Examples:\n  moltctl model pull https://models.example.com/tiny.gguf --sha256 H\n  moltctl model pull s3://bucket/models/tiny.gguf\n  moltctl model pull /media/stick/tiny.gguf"
    )]
    Pull(Pull),
    /// Compare model files with the checksums taken when they were pulled
    #[command(after_help = "Examples:\n  moltctl model verify\n  moltctl model verify tiny.gguf")]
    Verify {
        /// The file [default: all of them]
        file: Option<String>,
    },
    /// Let another model answer for a model, without losing a call
    #[command(
        after_help = "Examples:\n  moltctl model switch primary-model --to secondary-model\n  moltctl model switch primary-model --to primary-model   (takes it back)"
    )]
    Switch {
        /// The model that callers name
        name: String,
        /// The model that answers; the model itself takes the switch back
        #[arg(long, value_name = "OTHER")]
        to: String,
    },
}

#[derive(Args)]
pub(crate) struct Pull {
    /// https://, http://, s3:// or a path
    pub(crate) source: String,
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "H")]
    pub(crate) sha256: Option<String>,
    /// Replace a different file of that name
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Subcommand)]
pub(crate) enum Monitor {
    /// Write Prometheus configuration, alert rules and Grafana dashboards; what exists stays
    #[command(after_help = "Example:\n  moltctl monitor init ./monitoring")]
    Init {
        /// The folder
        dir: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check that no line was changed
    #[command(after_help = "Example:\n  moltctl audit verify")]
    Verify,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a key; its text is shown this once
    #[command(
        after_help = "Examples:\n  moltctl key create --name ops --role operator\n  moltctl key create --expires 90d --models 'local-*' --output json"
    )]
    Create {
        /// A name to tell it from others; policies call it by that
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// viewer, user, operator or admin
        #[arg(long, value_name = "ROLE", default_value = "user")]
        role: String,
        /// How long it is good, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// A model that it may use, * for any text; may be given again [default: all that the policy allows]
        #[arg(long, value_name = "GLOB", value_delimiter = ',')]
        models: Vec<String>,
    },
    /// List keys, without their texts
    #[command(after_help = "Example:\n  moltctl key list --output json")]
    List,
    /// Refuse a key from now on
    #[command(after_help = "Example:\n  moltctl key revoke key_3f9a0c21b7de")]
    Revoke {
        /// Its id, as `key list` shows it
        id: String,
    },
    /// Make a key in the place of another, which stays good for a while
    #[command(after_help = "Example:\n  moltctl key rotate key_3f9a0c21b7de --overlap 1h")]
    Rotate {
        /// Its id, as `key list` shows it
        id: String,
        /// How long the old one stays good
        #[arg(long, value_name = "TIME", default_value = "1h")]
        overlap: String,
    },
}

#[derive(Args)]
pub(crate) struct Logs {
    /// This level and worse: trace, debug, info, warn, error
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<String>,
    /// Asked for, or served by, this model
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Not older than this: 30m, 1h, 7d
    #[arg(long, value_name = "SPAN")]
    pub(crate) since: Option<String>,
    /// Lines that match this regular expression
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Go on with new lines
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Subcommand)]
pub(crate) enum Test {
    /// Start a comparison; calls name experiment:NAME as their model
    #[command(
        after_help = "Example:\n  moltctl test create --name model-comparison --models '[\"model-a\",\"model-b\"]' --sample-size 1000"
    )]
    Create(TestCreate),
    /// List the comparisons
    #[command(after_help = "Example:\n  moltctl test list --output json")]
    List,
    /// Show what is known of one
    #[command(after_help = "Example:\n  moltctl test report model-comparison --html report.html")]
    Report {
        /// Its name
        name: String,
        /// Write a page with charts, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// End one without a winner
    #[command(after_help = "Example:\n  moltctl test stop model-comparison")]
    Stop {
        /// Its name
        name: String,
    },
    /// Let the winner, or the model given, answer all its calls
    #[command(after_help = "Example:\n  moltctl test promote model-comparison --to model-b")]
    Promote {
        /// Its name
        name: String,
        /// The model
        #[arg(long, value_name = "MODEL")]
        to: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct TestCreate {
    /// Its name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// The models as a JSON list, the baseline first
    #[arg(long, value_name = "LIST")]
    pub(crate) models: String,
    /// Units over all models together [default: 1000]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) sample_size: Option<u64>,
    /// What keeps its model: user or request [default: user]
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<String>,
    /// How units are spread over the models, in a list
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(crate) weights: Vec<f64>,
    /// What decides: success, latency, first_token, cost, tokens, or a name of feedback [default: success]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// The least difference that matters, in the metric's unit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) mde: Option<f64>,
    /// What must not get worse by more than a margin: METRIC:MARGIN; may be given again
    #[arg(long, value_name = "GUARD")]
    pub(crate) guard: Vec<String>,
    /// Calls to this model join
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}

#[derive(Args)]
pub(crate) struct Usage {
    /// What rows are told apart by, in a list: workspace, model, key, day [default: all]
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// Answered by this model
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Of this key
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// From this day (UTC) on: 2026-11-25, or 7d ago
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<String>,
    /// Up to this day and with it
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<String>,
}

#[derive(Args)]
pub(crate) struct Top {
    /// Print one frame and leave
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between two frames
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
}

#[derive(Subcommand)]
pub(crate) enum Drill {
    /// Take one target away: a server that the daemon runs is killed, any other one is held back
    #[command(after_help = "Example:\n  moltctl drill instance --model primary-model")]
    Instance(DrillArgs),
    /// Hold the primaries of the region back, so that standbys answer
    #[command(after_help = "Example:\n  moltctl drill node --report drill.json")]
    Node(DrillArgs),
    /// Hold all targets of the region back, so that another region answers
    #[command(after_help = "Example:\n  moltctl drill region --calls 50 --report drill.md")]
    Region(DrillArgs),
}

#[derive(Args)]
pub(crate) struct DrillArgs {
    /// The model that loses it [default: the first one that can do without]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Short calls to the model in each of three phases
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) calls: u16,
    /// Write the report there, as Markdown or, where the name ends in .json, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// `moltctl channel`.
#[derive(Subcommand)]
pub(crate) enum Channel {
    /// Channels of the workspace and how they are
    #[command(after_help = "Example:\n  moltctl channel list --output json")]
    List,
    /// Switch a channel on in channels.toml
    #[command(after_help = "Example:\n  moltctl channel enable web")]
    Enable {
        /// Its name
        name: String,
    },
    /// Switch a channel off in channels.toml
    #[command(after_help = "Example:\n  moltctl channel disable slack")]
    Disable {
        /// Its name
        name: String,
    },
    /// Log in at the platform
    #[command(after_help = "Example:\n  moltctl channel test telegram")]
    Test {
        /// Its name
        name: String,
    },
    /// Send a text to a room
    #[command(
        after_help = "Example:\n  moltctl channel send slack --to C024BE91L --text 'Back at nine'"
    )]
    Send {
        /// The channel's name
        name: String,
        /// The room's id
        #[arg(long, value_name = "ROOM")]
        to: String,
        /// The text, as Markdown
        #[arg(long, value_name = "TEXT")]
        text: String,
    },
    /// Take a message through the whole path and show each step; nothing is sent without --deliver
    #[command(
        after_help = "Example:\n  moltctl channel simulate slack --sender U1 --room C1 --text 'hello'"
    )]
    Simulate {
        /// The channel's name
        name: String,
        /// The id of its sender
        #[arg(long, value_name = "ID")]
        sender: String,
        /// What is said
        #[arg(long, value_name = "TEXT")]
        text: String,
        /// The room in which it is said
        #[arg(long, value_name = "ID")]
        room: Option<String>,
        /// Send the answer, and let skills write
        #[arg(long)]
        deliver: bool,
    },
}

/// `moltctl outbox`.
#[derive(Subcommand)]
pub(crate) enum Outbox {
    /// Open sendings, and those closed within a day
    #[command(after_help = "Example:\n  moltctl outbox list --output json")]
    List,
    /// Send one again that is unknown, failed or expired
    #[command(
        after_help = "Example:\n  moltctl outbox resend 0192f0c4-7c1e-7b4a-9a54-0a1b2c3d4e5f"
    )]
    Resend {
        /// Its id
        id: String,
    },
    /// Give one up
    #[command(after_help = "Example:\n  moltctl outbox drop 0192f0c4-7c1e-7b4a-9a54-0a1b2c3d4e5f")]
    Drop {
        /// Its id
        id: String,
    },
}
