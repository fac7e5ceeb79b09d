//! Installing: the script of the repository, the archive, the Debian package and the npm package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use moltbot_tests::{Home, tools};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A folder of its own with a release in it, and the places that an installation shall go to.
struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let home = Home::empty();
        let release = home.path("release");
        std::fs::create_dir_all(&release).unwrap();
        for program in ["moltbotd", "moltctl"] {
            let built = home.command(program).get_program().to_owned();
            // as a release has them, without symbols
            let stripped = Command::new("strip")
                .arg("-o")
                .arg(release.join(program))
                .arg(built)
                .status();
            assert!(stripped.unwrap().success());
        }
        let place = Self { home };
        place.sh("cd release && sha256sum moltbotd moltctl > SHA256SUMS");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path(name)
    }

    /// Runs a line in the folder, where `$ROOT` is the repository.
    fn sh(&self, line: &str) -> Output {
        let output = self.try_sh(line);
        assert!(output.status.success(), "{line}: {output:?}");
        output
    }

    fn try_sh(&self, line: &str) -> Output {
        Command::new("sh")
            .args(["-c", line])
            .current_dir(self.path(""))
            .env("ROOT", root())
            .env("HOME", self.path("person"))
            .env_remove("MOLTBOT_HOME")
            .env_remove("SUDO_USER")
            .output()
            .unwrap()
    }

    fn install(&self, arguments: &str) -> Output {
        self.try_sh(&format!(
            "\"$ROOT/install.sh\" --prefix prefix --home home --no-service --yes {arguments}"
        ))
    }
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_folder_is_installed_checked_and_taken_away_again() {
    let place = Place::new();
    let done = place.install("--from release");
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("was ready"), "{}", said(&done));
    for program in ["moltbotd", "moltctl", "moltbot"] {
        let shown = place.sh(&format!("prefix/bin/{program} --version"));
        assert!(said(&shown).contains("0.1.0"), "{}", said(&shown));
    }
    assert!(place.path("home/config/gateway.yaml").is_file());
    // no daemon stays
    let status = place.try_sh("prefix/bin/moltctl status --home home");
    assert_eq!(status.status.code(), Some(3), "{}", said(&status));

    let again = place.install("--from release");
    assert!(said(&again).contains("keeps its files"), "{}", said(&again));

    let gone = place.install("--uninstall");
    assert!(gone.status.success(), "{}", said(&gone));
    assert!(!place.path("prefix/bin/moltbotd").exists());
    assert!(!place.path("prefix/bin/moltbot").is_symlink());
    assert!(
        place.path("home/config/gateway.yaml").is_file(),
        "the home stays"
    );
}

#[test]
fn a_failed_first_installation_leaves_nothing() {
    let place = Place::new();
    let nothing_is_left = |done: &Output| {
        assert_eq!(done.status.code(), Some(1), "{}", said(done));
        assert!(!place.path("prefix").exists(), "{}", said(done));
        assert!(!place.path("home").exists(), "{}", said(done));
    };

    place.sh("cp -r release wrong && rm wrong/moltctl && echo other > wrong/moltctl");
    let wrong = place.install("--from wrong");
    assert!(said(&wrong).contains("the checksum of moltctl is wrong"));
    nothing_is_left(&wrong);

    place.sh("cp -r release none && rm none/SHA256SUMS");
    let none = place.install("--from none");
    assert!(said(&none).contains("no SHA256SUMS: refused"));
    nothing_is_left(&none);

    // a daemon that does not become ready, after everything else went well
    place.sh(
        "mkdir sick && cp release/moltctl sick/ && printf '%s\\n' '#!/bin/sh' \
         '[ \"$1\" = --version ] && echo moltbotd 0.1.0 && exit' 'exit 1' > sick/moltbotd \
         && chmod +x sick/moltbotd && cd sick && sha256sum moltbotd moltctl > SHA256SUMS",
    );
    let sick = place.install("--from sick");
    assert!(
        said(&sick).contains("did not become ready"),
        "{}",
        said(&sick)
    );
    nothing_is_left(&sick);
}

#[test]
fn a_failed_upgrade_leaves_the_programs_that_were_there() {
    let place = Place::new();
    assert!(place.install("--from release").status.success());
    let before =
        place.sh("sha256sum prefix/bin/moltbotd prefix/bin/moltctl; readlink prefix/bin/moltbot");
    place.sh(
        "mkdir sick && cp release/moltctl sick/ && printf '%s\\n' '#!/bin/sh' \
         '[ \"$1\" = --version ] && echo moltbotd 0.2.0 && exit' 'exit 1' > sick/moltbotd \
         && chmod +x sick/moltbotd && cd sick && sha256sum moltbotd moltctl > SHA256SUMS",
    );
    assert_eq!(place.install("--from sick").status.code(), Some(1));
    let after =
        place.sh("sha256sum prefix/bin/moltbotd prefix/bin/moltctl; readlink prefix/bin/moltbot");
    assert_eq!(said(&before), said(&after));
    assert!(place.path("home/config/gateway.yaml").is_file());
}

#[test]
fn the_archive_and_the_packages_carry_the_same_programs() {
    let place = Place::new();
    let made = place.sh(
        "\"$ROOT/packaging/release\" --bins release --out dist --target x86_64-unknown-linux-musl",
    );
    let listed = said(&made);
    let archive = "dist/moltbot-0.1.0-x86_64-unknown-linux-musl.tar.gz";
    assert!(listed.contains(archive), "{listed}");

    let done = place.install(&format!("--from {archive}"));
    assert!(done.status.success(), "{}", said(&done));
    place.sh("cmp prefix/bin/moltbotd release/moltbotd");
    place.sh(&format!("rm {archive}.sha256"));
    let refused = place.install(&format!("--from {archive}"));
    assert!(
        said(&refused).contains("refused"),
        "a missing sum: {}",
        said(&refused)
    );

    let deb = said(&place.sh("dpkg-deb --contents dist/moltbot_0.1.0_amd64.deb"));
    for file in [
        "./usr/bin/moltbotd",
        "./usr/bin/moltbot -> moltctl",
        "moltbotd.service",
    ] {
        assert!(deb.contains(file), "{file}: {deb}");
    }

    let npm = place.sh("npm install --global --prefix node --offline --silent ./dist/moltbot-0.1.0.tgz && node/bin/moltbot --version");
    assert!(said(&npm).contains("moltctl 0.1.0"), "{}", said(&npm));
    let manifest = std::fs::read_to_string(root().join("packaging/npm/package.json")).unwrap();
    assert!(!manifest.contains("\"scripts\""), "no install script");
}

#[test]
fn scripts_units_and_manifests_are_well_formed() {
    let lint = |program: &str, arguments: &[&str]| {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(program)
            .args(arguments)
            .env("PATH", format!("{}:{path}", tools().join("bin").display()))
            .current_dir(root())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        // systemd-analyze exits with 0 on an unknown key and says so
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{program}: {}",
            said(&output)
        );
    };
    lint(
        "shellcheck",
        &[
            "install.sh",
            "packaging/release",
            "packaging/deb/build",
            "packaging/deb/postinst",
            "packaging/deb/prerm",
            "tests/run",
            "tests/setup/install",
        ],
    );
    lint(
        "kubernetes-validate",
        &["--strict", "--quiet", "packaging/kubernetes/moltbot.yaml"],
    );

    // the units name programs that are not installed here
    let place = Place::new();
    let unit = std::fs::read_to_string(root().join("packaging/deb/moltbotd.service")).unwrap();
    let release = place.path("release");
    let unit = unit.replace("/usr/bin/", &format!("{}/", release.display()));
    let file = place.path("moltbotd.service");
    std::fs::write(&file, unit).unwrap();
    lint("systemd-analyze", &["verify", file.to_str().unwrap()]);
}

#[test]
fn wrong_use_is_told() {
    let place = Place::new();
    for arguments in ["--form x", "--from"] {
        let output = place.install(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
    let help = said(&place.install("--help"));
    for word in [
        "--from",
        "--prefix",
        "--home",
        "--no-service",
        "--uninstall",
        "SHA256SUMS",
        "MOLTBOT_RELEASES",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
