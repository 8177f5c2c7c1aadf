//! `downing explain`: what the split brain resolver would do about a picture in a file. It needs no node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::downing::strategy::RELEASE_AFTER;
use granary_core::membership::downing::{
    Cause, Explanation, Observation, Picture, Reason, Strategy, Voter,
};
use granary_core::membership::member::Status;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::Terminal;
use crate::config::document::{Document, Problem, Problems};
use crate::config::units::Period;

const FORMAT: &str = r#"The file:
  strategy = "keep-majority"       # static-quorum, keep-majority, keep-oldest, down-all, lease-majority
  role = ""                        # count only members with this role; "" counts all
  quorum-size = 3                  # static-quorum: needed
  down-if-alone = true             # keep-oldest: whether an oldest member that is alone goes
  minority-delay = "2s"            # lease-majority: how much later the smaller side asks
  self = "a"                       # who decides
  seen-by = ["a", "c", "e"]        # who has seen the current gossip; self always has
  unreachable = [["a", "b"], ["a", "d", "terminated"]]    # observer, subject

  [lease]                          # lease-majority
  outcome = "denied"               # or "granted"

  [[member]]
  name = "a"                       # its host; every port is 7000, so names order as addresses do
  status = "up"                    # joining, weakly-up, up, preparing-for-shutdown, ready-for-shutdown, leaving, exiting, down
  age = 5                          # 1 is the oldest; without it the youngest
  roles = ["backend"]
  dc = "default"                   # members of other data centres than self's do not count

Keys of another strategy than the chosen one may stay: they are checked and not used.

The answer is JSON: {"decision": …, "down": [names], "delay-ms": …, "because": …}. The decisions:
  down-unreachable                             the other side goes
  down-reachable                               this side goes
  down-all                                     everybody goes
  down-indirectly-connected                    those go that are marked and take part all the same
  acquire-lease-and-down-unreachable           with the lease the other side goes
  acquire-lease-and-down-indirectly-connected  with the lease the indirectly connected go
  reverse-down-indirectly-connected            the lease was denied: they go, and everybody who can be reached
  down-self-quarantined-by-remote              this node goes; a running node decides so, no picture does
delay-ms is how long this node waits before it asks for the lease. With no outcome, and with "granted", a decision that needs the lease
is shown as what is done with it; with "denied" as what is done without it. A picture in which nobody is unreachable gives
down-unreachable with nobody to down. A running node decides only while it leads its data centre, once nothing has changed for
cluster.stable-after and everybody has confirmed that or is marked; what those have marked who have not confirmed it does not count.

Example:
  granary downing explain partition.toml"#;

/// What `downing` is told.
#[derive(Debug, Subcommand)]
pub enum DowningCommand {
    /// Say what the split brain resolver would do about a picture
    #[command(after_help = FORMAT)]
    Explain(ExplainArgs),
}

/// What `downing explain` is told.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The picture, TOML
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
}

/// Runs `downing`.
pub fn run(terminal: &Terminal, command: &DowningCommand) -> Result<(), Error> {
    match command {
        DowningCommand::Explain(args) => {
            let answer = read(&args.file).map_err(|problems| {
                Error::new(
                    Exit::Usage,
                    problems.to_string(),
                    "granary help downing explain shows the format",
                )
            })?;
            terminal.json(&answer);
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<Value, Problems> {
    explain(&Document::open(path)?)
}

/// A picture as it is written down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    strategy: StrategyName,
    #[serde(default)]
    role: String,
    quorum_size: Option<u32>,
    #[serde(default = "yes")]
    down_if_alone: bool,
    #[serde(default = "two_seconds")]
    minority_delay: Period,
    #[serde(rename = "self")]
    this: String,
    #[serde(default)]
    seen_by: Vec<String>,
    #[serde(default)]
    unreachable: Vec<Vec<String>>,
    lease: Option<Lease>,
    #[serde(default)]
    member: Vec<Member>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StrategyName {
    StaticQuorum,
    KeepMajority,
    KeepOldest,
    DownAll,
    LeaseMajority,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Lease {
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Granted,
    Denied,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Member {
    name: String,
    #[schemars(with = "String")]
    status: Status,
    age: Option<u32>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default = "default_dc")]
    dc: String,
}

fn yes() -> bool {
    true
}

fn two_seconds() -> Period {
    Period(Duration::from_secs(2))
}

fn default_dc() -> String {
    "default".to_owned()
}

/// Reads the picture and answers it.
fn explain(document: &Document) -> Result<Value, Problems> {
    let file: File = document.read()?;
    let mut reader = Reader {
        document,
        problems: Vec::new(),
    };
    let strategy = reader.strategy(&file);
    let picture = reader.picture(&file);
    let (Some(strategy), Some(picture)) = (strategy, picture) else {
        return Err(reader.in_order());
    };
    if !reader.problems.is_empty() {
        return Err(reader.in_order());
    }
    let cause = match file.lease.map(|lease| lease.outcome) {
        Some(Outcome::Denied) => Cause::LeaseDenied,
        Some(Outcome::Granted) | None => Cause::Unreachable,
    };
    let found = Explanation::new(&strategy, cause, picture);
    let down = found.down.iter().map(|node| node.address.host());
    Ok(json!({
        "decision": found.decision.name(),
        "down": down.collect::<Vec<_>>(),
        "delay-ms": u64::try_from(found.delay.as_millis()).unwrap_or(u64::MAX),
        "because": because(&found.because, &file.unreachable),
    }))
}

/// The rule as a sentence. Where marks were written and none counts, that is what a reader wants to know.
fn because(rule: &Reason, marks: &[Vec<String>]) -> String {
    if *rule == Reason::NothingUnreachable && !marks.is_empty() {
        return "no mark counts: one that is down is not heard, and other data centres decide for themselves".to_owned();
    }
    rule.to_string()
}

/// Checks what the types cannot, and gathers everything that is wrong.
struct Reader<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, path: &[&str], why: impl Into<String>) {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.problems.push(self.document.at(&path, why));
    }

    fn in_order(mut self) -> Problems {
        self.problems.sort_by_key(|problem| problem.position);
        Problems(self.problems)
    }

    fn strategy(&mut self, file: &File) -> Option<Strategy> {
        let role = Some(file.role.as_str()).filter(|role| !role.is_empty());
        let role = role.map(Into::into);
        if file.quorum_size == Some(0) {
            self.wrong(&["quorum-size"], "a quorum is at least 1");
        }
        Some(match file.strategy {
            StrategyName::StaticQuorum => {
                let Some(quorum_size) = file.quorum_size else {
                    self.wrong(&["strategy"], "static-quorum needs quorum-size");
                    return None;
                };
                Strategy::StaticQuorum { quorum_size, role }
            }
            StrategyName::KeepMajority => Strategy::KeepMajority { role },
            StrategyName::KeepOldest => Strategy::KeepOldest {
                role,
                down_if_alone: file.down_if_alone,
            },
            StrategyName::DownAll => Strategy::DownAll,
            StrategyName::LeaseMajority => Strategy::LeaseMajority {
                role,
                minority_delay: file.minority_delay.0,
                release_after: RELEASE_AFTER,
            },
        })
    }

    fn picture(&mut self, file: &File) -> Option<Picture> {
        let nodes = self.nodes(&file.member);
        let this = nodes.get(file.this.as_str()).cloned();
        if this.is_none() {
            self.wrong(&["self"], format!("'{}' is no [[member]]", file.this));
        }
        let mut seen_by = Vec::new();
        for (at, name) in file.seen_by.iter().enumerate() {
            seen_by.extend(self.member(&nodes, name, &["seen-by", &at.to_string()]));
        }
        let mut rows = Vec::new();
        for (at, row) in file.unreachable.iter().enumerate() {
            rows.extend(self.row(&nodes, row, &at.to_string()));
        }
        let voters = file.member.iter().filter_map(|member| {
            Some(Voter {
                node: nodes.get(member.name.as_str())?.clone(),
                status: member.status,
                up_number: member.age,
                roles: member
                    .roles
                    .iter()
                    .map(|role| role.as_str().into())
                    .collect(),
                dc: member.dc.as_str().into(),
            })
        });
        let own = file.member.iter().find(|member| member.name == file.this)?;
        let this = this?;
        // Nobody decides by a picture that it has not seen.
        seen_by.push(this.clone());
        Some(Picture::new(
            this,
            own.dc.as_str().into(),
            voters,
            rows,
            seen_by,
        ))
    }

    /// Each member's address; two of one name and names that are no hosts are wrong.
    fn nodes<'f>(&mut self, members: &'f [Member]) -> BTreeMap<&'f str, UniqueAddress> {
        const PORT: u16 = 7000;
        let mut nodes = BTreeMap::new();
        for (at, member) in members.iter().enumerate() {
            let index = at.to_string();
            match Address::new(&member.name, PORT) {
                Ok(address) => {
                    let node = UniqueAddress::new(address, 1);
                    if nodes.insert(member.name.as_str(), node).is_some() {
                        let why = format!("there is a second member '{}'", member.name);
                        self.wrong(&["member", &index, "name"], why);
                    }
                }
                Err(error) => self.wrong(&["member", &index, "name"], error.to_string()),
            }
            if member.age == Some(0) {
                self.wrong(&["member", &index, "age"], "the oldest member has 1");
            }
            if member.status == Status::Removed {
                let why = "a removed member is none; leave it out";
                self.wrong(&["member", &index, "status"], why);
            }
        }
        nodes
    }

    fn member(
        &mut self,
        nodes: &BTreeMap<&str, UniqueAddress>,
        name: &str,
        path: &[&str],
    ) -> Option<UniqueAddress> {
        let node = nodes.get(name).cloned();
        if node.is_none() {
            self.wrong(path, format!("'{name}' is no [[member]]"));
        }
        node
    }

    fn row(
        &mut self,
        nodes: &BTreeMap<&str, UniqueAddress>,
        row: &[String],
        index: &str,
    ) -> Option<Observation> {
        let (observer, subject, is_terminated) = match row {
            [observer, subject] => (observer, subject, false),
            [observer, subject, end] if end == "terminated" => (observer, subject, true),
            _ => {
                let why = "write [observer, subject], or [observer, subject, \"terminated\"]";
                self.wrong(&["unreachable", index], why);
                return None;
            }
        };
        if observer == subject {
            self.wrong(&["unreachable", index], "a member always reaches itself");
        }
        let observer = self.member(nodes, observer, &["unreachable", index, "0"]);
        let subject = self.member(nodes, subject, &["unreachable", index, "1"]);
        Some(Observation {
            observer: observer?,
            subject: subject?,
            is_terminated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: &str = r#"
        [[member]]
        name = "a"
        age = 5
        status = "up"
        roles = ["role3"]
        dc = "default"
        [[member]]
        name = "b"
        age = 4
        status = "up"
        roles = ["role1", "role3"]
        [[member]]
        name = "c"
        age = 3
        status = "up"
        [[member]]
        name = "d"
        age = 2
        status = "leaving"
        [[member]]
        name = "e"
        age = 1
        status = "up"
    "#;

    fn answer(head: &str) -> String {
        let document = Document::new("p.toml", format!("{head}\n{MEMBERS}"));
        match explain(&document) {
            Ok(value) => value.to_string(),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn an_answer_has_four_keys_in_their_order() {
        let head = r#"
            strategy = "keep-majority"
            role = ""
            self = "a"
            seen-by = ["a", "c", "e"]
            unreachable = [["a", "b"], ["a", "d", "terminated"]]
            [lease]
            outcome = "granted"
        "#;
        assert_eq!(
            answer(head),
            r#"{"decision":"down-unreachable","down":["b","d"],"delay-ms":0,"because":"3 reachable members outnumber 2"}"#
        );
    }

    #[test]
    fn the_lease_may_be_undecided_granted_or_denied() {
        let head = |lease: &str| {
            let head = r#"
                strategy = "lease-majority"
                minority-delay = "1500ms"
                self = "b"
                seen-by = ["b", "d"]
                unreachable = [["b", "a"], ["b", "c"], ["b", "e"]]
            "#;
            format!("{head}\n{lease}")
        };
        let granted = r#"{"decision":"acquire-lease-and-down-unreachable","down":["a","c","e"],"delay-ms":1500,"because":"the lease decides; 2 reachable members are fewer than 3"}"#;
        assert_eq!(answer(&head("")), granted);
        assert_eq!(answer(&head("[lease]\noutcome = \"granted\"")), granted);
        assert_eq!(
            answer(&head("[lease]\noutcome = \"denied\"")),
            r#"{"decision":"down-reachable","down":["b","d"],"delay-ms":1500,"because":"the lease was denied; 2 reachable members are fewer than 3"}"#
        );
    }

    #[test]
    fn each_strategy_reads_its_own_keys() {
        let rest = "self = 'e'\nunreachable = [['e', 'a'], ['e', 'b'], ['e', 'c'], ['e', 'd']]";
        let decision = |head: &str| {
            let text = answer(&format!("{head}\n{rest}"));
            let answer: Value = serde_json::from_str(&text).unwrap();
            answer["decision"].as_str().unwrap().to_owned()
        };
        let alone = "strategy = 'keep-oldest'\ndown-if-alone";
        assert_eq!(decision(&format!("{alone} = true")), "down-reachable");
        assert_eq!(decision(&format!("{alone} = false")), "down-unreachable");
        let quorum = "strategy = 'static-quorum'\nquorum-size";
        assert_eq!(decision(&format!("{quorum} = 2")), "down-all");
        assert_eq!(decision(&format!("{quorum} = 3")), "down-reachable");
        assert_eq!(
            decision("strategy = 'down-all'\nquorum-size = 3"),
            "down-all"
        );
        assert_eq!(
            decision("strategy = 'keep-majority'\nrole = 'role9'"),
            "down-all"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_all_at_once() {
        let found = answer("strategy = 'keep-majority'\nself = 'a'\nsend-by = []\n");
        assert_eq!(
            found,
            "p.toml:3:1: send-by: unknown key; did you mean 'seen-by'?"
        );
        let found = answer("strategy = 'keep-minority'\nself = 'a'");
        assert!(
            found.starts_with("p.toml:1:12: strategy: unknown variant"),
            "{found}"
        );
        let found = answer("strategy = 'keep-majority'");
        assert!(found.contains("missing field `self`"), "{found}");
        let head = "strategy = 'static-quorum'\nself = 'z'\nseen-by = ['a', 'y']\nunreachable = [['a'], ['b', 'b'], ['a', 'x'], ['a', 'b', 'gone']]\n[[member]]\nname = 'a'\nstatus = 'up'\nage = 0\n[[member]]\nname = 'a b'\nstatus = 'removed'\n";
        assert_eq!(
            answer(head),
            "p.toml:1:12: strategy: static-quorum needs quorum-size\n\
             p.toml:2:8: self: 'z' is no [[member]]\n\
             p.toml:3:17: seen-by[1]: 'y' is no [[member]]\n\
             p.toml:4:16: unreachable[0]: write [observer, subject], or [observer, subject, \"terminated\"]\n\
             p.toml:4:23: unreachable[1]: a member always reaches itself\n\
             p.toml:4:41: unreachable[2][1]: 'x' is no [[member]]\n\
             p.toml:4:47: unreachable[3]: write [observer, subject], or [observer, subject, \"terminated\"]\n\
             p.toml:8:7: member[0].age: the oldest member has 1\n\
             p.toml:10:8: member[1].name: 'a b' does not name a host\n\
             p.toml:11:10: member[1].status: a removed member is none; leave it out\n\
             p.toml:15:16: member[2].name: there is a second member 'a'"
        );
        let found = answer("strategy = 'down-all'\nself = 'a'\n[lease]\noutcome = 'maybe'");
        assert!(
            found.starts_with("p.toml:4:11: lease.outcome: unknown variant"),
            "{found}"
        );
    }

    #[test]
    fn marks_of_which_none_counts_are_told_from_none() {
        let because = |unreachable: &str, status: &str| {
            let head =
                format!("strategy = 'keep-majority'\nself = 'a'\nunreachable = {unreachable}");
            let members = format!("[[member]]\nname = 'z'\nstatus = '{status}'\ndc = 'west'");
            let text = answer(&format!("{head}\n{members}"));
            let answer: Value = serde_json::from_str(&text).unwrap();
            answer["because"].as_str().unwrap().to_owned()
        };
        assert_eq!(because("[]", "up"), "no member is unreachable");
        assert!(because("[['a', 'z']]", "up").starts_with("no mark counts: "));
    }

    #[test]
    fn who_decides_has_seen_the_picture() {
        // `b` marks `a`, which takes part all the same.
        let head =
            "strategy = 'keep-majority'\nself = 'a'\nseen-by = ['b']\nunreachable = [['b', 'a']]";
        let answer: Value = serde_json::from_str(&answer(head)).unwrap();
        assert_eq!(answer["decision"], "down-indirectly-connected");
        assert_eq!(answer["down"], json!(["a", "b"]));
    }

    #[test]
    fn a_picture_without_members_is_none() {
        let found = explain(&Document::new(
            "p.toml",
            "strategy = 'down-all'\nself = 'a'",
        ));
        assert_eq!(
            found.unwrap_err().to_string(),
            "p.toml:2:8: self: 'a' is no [[member]]"
        );
    }
}
