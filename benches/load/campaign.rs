//! The order of a measurement: all servers alive at once, short turns in rotating order, then cold starts, then the soak.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Answer, Connection};
use crate::drive::{Slice, Target, Until, closed, connect, open};
use crate::host::{Cores, CpuTime, Resident};
use crate::report::{Figure, Report, markdown};
use crate::servers::{Kind, Launcher, Server};
use crate::shape::Shape;

/// A pause before time is read, in which a server ends what it does after an answer, such as writing its log.
const SETTLE: Duration = Duration::from_millis(120);
/// Steps of the soak.
const STEPS: u64 = 10;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) turn: Duration,
    /// Arrivals a second in the open loop.
    pub(crate) rate: u32,
    /// Requests of the soak on each server; 0 leaves it out.
    pub(crate) soak: u64,
}

/// What has been measured.
#[derive(Default)]
pub(crate) struct Campaign {
    report: Report,
    soak: Vec<(Kind, Vec<f64>)>,
    answers: u64,
    pub(crate) failures: u64,
}

impl Campaign {
    /// Runs `plan` on `kinds`.
    ///
    /// # Errors
    /// When a program does not start, or a server stops answering.
    pub(crate) async fn run(
        launcher: &Launcher,
        kinds: &[Kind],
        plan: &Plan,
    ) -> Result<Self, Box<dyn Error>> {
        let mut campaign = Self::default();
        let upstream = launcher.upstream().await?;
        let expected = Expected::from(upstream.address).await?;
        let mut servers = Vec::new();
        for kind in kinds {
            servers.push((*kind, launcher.start(*kind, upstream.address).await?));
        }
        sleep(Duration::from_secs(1)).await;
        for (kind, server) in &servers {
            campaign
                .report
                .add(Figure::RssIdle, *kind, Resident::of(server.pid)?.now);
        }
        for round in 0..plan.rounds as usize {
            eprintln!("round {} of {}", round + 1, plan.rounds);
            for shape in Shape::ALL {
                for (kind, server) in rotated(&servers, round) {
                    campaign
                        .closed_turn(*kind, server, shape, &expected, plan.turn)
                        .await?;
                }
            }
            campaign
                .open_turns(&rotated(&servers, round), upstream.address, &expected, plan)
                .await?;
        }
        for (kind, server) in &servers {
            campaign
                .report
                .add(Figure::RssLoaded, *kind, Resident::of(server.pid)?.peak);
        }
        if plan.soak > 0 {
            for (kind, server) in &servers {
                eprintln!("soak of {}", kind.name());
                campaign.soak(*kind, server, &expected, plan.soak).await?;
            }
        }
        for (_, server) in servers {
            server.stop().await?;
        }
        for round in 0..plan.rounds as usize {
            for kind in rotated(kinds, round) {
                let server = launcher.start(*kind, upstream.address).await?;
                campaign.report.add(
                    Figure::ColdStart,
                    *kind,
                    server.ready_after.as_secs_f64() * 1e3,
                );
                server.stop().await?;
            }
        }
        upstream.stop().await?;
        Ok(campaign)
    }

    async fn closed_turn(
        &mut self,
        kind: Kind,
        server: &Server,
        shape: Shape,
        expected: &Expected,
        turn: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let connections = warm(server.address, shape.connections(), expected).await?;
        sleep(SETTLE).await;
        let before = CpuTime::of(server.pid)?;
        let target = expected.target(server.address, shape);
        let slice = closed(&target, connections, Until::Elapsed(turn))
            .await
            .map_err(|error| stopped(kind, shape, &error))?;
        sleep(SETTLE).await;
        let spent = CpuTime::of(server.pid)?.since(&before).as_secs_f64();
        self.count(kind, shape, &slice);

        let answers = slice.answers as f64;
        let pieces = if shape.is_stream() {
            answers * target.expected.events as f64
        } else {
            answers
        };
        let figure = match shape {
            Shape::Small => Figure::SmallCpu,
            Shape::Prompt => Figure::PromptCpu,
            Shape::Paced => Figure::PacedCpu,
            Shape::Burst => Figure::BurstCpu,
        };
        self.report.add(figure, kind, spent * 1e6 / pieces);
        if shape == Shape::Small {
            let elapsed = slice.elapsed.as_secs_f64();
            self.report.add(Figure::SmallRate, kind, answers / elapsed);
            self.report
                .add(Figure::CoreBusy, kind, spent / elapsed * 100.0);
        }
        Ok(())
    }

    /// The same arrivals at the upstream itself and through each server: what they add to its median and its tail.
    async fn open_turns(
        &mut self,
        servers: &[&(Kind, Server)],
        upstream: SocketAddr,
        expected: &Expected,
        plan: &Plan,
    ) -> Result<(), Box<dyn Error>> {
        let mut direct = open_turn(upstream, expected, plan).await?;
        let (p50, p99) = (direct.quantile_us(0.5), direct.quantile_us(0.99));
        for (kind, server) in servers {
            let mut slice = open_turn(server.address, expected, plan).await?;
            self.count(*kind, Shape::Small, &slice);
            self.report
                .add(Figure::AddedP50, *kind, slice.quantile_us(0.5) - p50);
            self.report
                .add(Figure::AddedP99, *kind, slice.quantile_us(0.99) - p99);
        }
        Ok(())
    }

    async fn soak(
        &mut self,
        kind: Kind,
        server: &Server,
        expected: &Expected,
        requests: u64,
    ) -> Result<(), Box<dyn Error>> {
        let target = expected.target(server.address, Shape::Small);
        let mut resident = vec![Resident::of(server.pid)?.now];
        for _ in 0..STEPS {
            let connections = connect(server.address, Shape::Small.connections()).await?;
            let slice = closed(
                &target,
                connections,
                Until::Answered(requests.div_ceil(STEPS)),
            )
            .await?;
            self.count(kind, Shape::Small, &slice);
            sleep(SETTLE).await;
            resident.push(Resident::of(server.pid)?.now);
        }
        self.soak.push((kind, resident));
        Ok(())
    }

    fn count(&mut self, kind: Kind, shape: Shape, slice: &Slice) {
        self.answers += slice.answers;
        self.failures += slice.failures;
        if slice.failures > 0 {
            eprintln!(
                "{}: {} {shape:?} answers were not as the upstream's",
                kind.name(),
                slice.failures
            );
        }
    }

    /// The whole report in Markdown.
    pub(crate) fn text(&self, machine: &str, kinds: &[Kind], plan: &Plan, cores: Cores) -> String {
        let mut text = format!(
            "{machine}. Generator and upstream on core {}, servers on core {}.\n{} rounds of {:.1} s a turn; open loop at {} requests a second. \
             {} answers, {} of them wrong or lost.\nFigures are medians; in bold the ratio to the floor of the same round (lowest–highest).\n\n{}",
            cores.load,
            cores.server,
            plan.rounds,
            plan.turn.as_secs_f64(),
            plan.rate,
            self.answers,
            self.failures,
            self.report.table(kinds)
        );
        if !self.soak.is_empty() {
            let mut rows = vec![vec![String::new(), "before".to_owned()]];
            rows[0].extend((1..=STEPS).map(|step| (plan.soak.div_ceil(STEPS) * step).to_string()));
            rows[0].push("growth after the first tenth".to_owned());
            for (kind, resident) in &self.soak {
                let mut row = vec![kind.name().to_owned()];
                row.extend(resident.iter().map(|mib| format!("{mib:.1}")));
                row.push(format!(
                    "{:+.1}",
                    resident[resident.len() - 1] - resident[1]
                ));
                rows.push(row);
            }
            write!(
                text,
                "\nRSS in MiB after so many small requests:\n\n{}",
                markdown(&rows)
            )
            .ok();
        }
        text
    }
}

/// The upstream's own answer to each shape, which every server must pass on as it is.
struct Expected([Answer; Shape::ALL.len()]);

impl Expected {
    async fn from(upstream: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let mut connection = Connection::open(upstream).await?;
        let mut answers = [Answer {
            status: 0,
            body: 0,
            events: 0,
        }; Shape::ALL.len()];
        for shape in Shape::ALL {
            answers[shape as usize] = connection.ask(&shape.request(upstream)).await?;
        }
        Ok(Self(answers))
    }

    fn target(&self, server: SocketAddr, shape: Shape) -> Target {
        Target {
            server,
            request: shape.request(server).into(),
            expected: self.0[shape as usize],
        }
    }
}

/// Connections that have answered once.
async fn warm(
    server: SocketAddr,
    count: usize,
    expected: &Expected,
) -> Result<Vec<Connection>, Box<dyn Error>> {
    let mut connections = connect(server, count).await?;
    let small = expected.target(server, Shape::Small);
    for connection in &mut connections {
        connection.ask(&small.request).await?;
    }
    Ok(connections)
}

async fn open_turn(
    server: SocketAddr,
    expected: &Expected,
    plan: &Plan,
) -> Result<Slice, Box<dyn Error>> {
    let connections = warm(server, Shape::Small.connections(), expected).await?;
    sleep(SETTLE).await;
    Ok(open(
        &expected.target(server, Shape::Small),
        connections,
        plan.rate,
        plan.turn,
    )
    .await?)
}

fn stopped(kind: Kind, shape: Shape, error: &std::io::Error) -> String {
    format!(
        "{} stopped answering {shape:?} requests: {error}",
        kind.name()
    )
}

/// `items`, beginning with another one in each round.
fn rotated<T>(items: &[T], round: usize) -> Vec<&T> {
    let (end, start) = items.split_at(round % items.len().max(1));
    start.iter().chain(end).collect()
}
