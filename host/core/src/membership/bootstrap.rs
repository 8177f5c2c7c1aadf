//! How a node finds its cluster, or forms the first one.
//!
//! In: contact points, and their answers. Out: whom to ask, and at last whether to form a cluster here.
//!
//! Invariants: a node forms a cluster only if it is itself a contact point, and the one that the others would choose, too; never before the
//! required number has answered; and a node that once belonged to a cluster never does because of somebody's silence: every contact point has to
//! say that it is alone, and so has more than half of the members that the node knew last. While the cluster lives, that half is not to be had on
//! any side of a partition but the larger one, as long as the list is not old. Where it is, two clusters of one id may come to be, and
//! [`rival`](super::machine) ends one of them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::address::Address;
use super::message::{ClusterId, KnownCluster};
use super::settings::{BootstrapMode, BootstrapSettings};
use crate::id::Time;

/// How often contact points are asked.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// An answer counts for so long; whoever gave it may have joined meanwhile.
const ANSWER_COUNTS: Duration = Duration::from_millis(3500);
/// The most contact points that are asked; what discovery names beyond them is left out.
pub(super) const CONTACT_POINTS_MAX: usize = 1024;
/// The most members of the last known picture that are asked and counted.
pub(super) const KNOWN_MEMBERS_MAX: usize = 32;
/// The most members that are asked because they were heard.
const HEARD_MAX: usize = 8;
/// A cluster of which a member was heard lives for so long, at least.
const HEARD_COUNTS: Duration = Duration::from_secs(15);

/// So many addresses are named in the log at most.
const NAMED_MAX: usize = 8;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask these whether they belong to a cluster.
    Ask(Vec<Address>),
    /// Form a cluster here.
    Form,
}

/// The search for a cluster.
#[derive(Debug, Clone)]
pub(super) struct Bootstrap {
    this: Address,
    settings: BootstrapSettings,
    seed_node_timeout: Duration,
    known: Option<KnownCluster>,
    contact_points: Vec<Address>,
    /// Who told that it is a member, the latest last.
    heard: Vec<Address>,
    last_heard: Option<Time>,
    started: Time,
    changed: Time,
    next_ask: Time,
    /// Who belongs to no cluster, and when they said so.
    alone: BTreeMap<Address, Time>,
}

impl Bootstrap {
    /// Starts to search. `known` is the cluster that this node once belonged to.
    pub(super) fn new(
        this: Address,
        settings: (&BootstrapSettings, Duration),
        mut known: Option<KnownCluster>,
        contact_points: Vec<Address>,
        now: Time,
    ) -> Self {
        if let Some(known) = &mut known {
            known.members.truncate(KNOWN_MEMBERS_MAX);
        }
        let mut bootstrap = Self {
            this,
            settings: settings.0.clone(),
            seed_node_timeout: settings.1,
            known,
            contact_points: Vec::new(),
            heard: Vec::new(),
            last_heard: None,
            started: now,
            changed: now,
            next_ask: now,
            alone: BTreeMap::new(),
        };
        bootstrap.contacts(now, contact_points);
        bootstrap
    }

    /// Discovery found these.
    pub(super) fn contacts(&mut self, now: Time, contact_points: Vec<Address>) {
        let mut distinct: Vec<Address> = Vec::new();
        for address in contact_points {
            if !distinct.contains(&address) && distinct.len() < CONTACT_POINTS_MAX {
                distinct.push(address);
            }
        }
        if distinct == self.contact_points {
            return;
        }
        self.contact_points = distinct;
        let mut alone = core::mem::take(&mut self.alone);
        alone.retain(|address, _| self.asks(address));
        self.alone = alone;
        self.changed = now;
        self.next_ask = now;
    }

    /// Whether a node is among those that are asked.
    pub(super) fn asks(&self, address: &Address) -> bool {
        *address != self.this && self.everyone().any(|asked| asked == address)
    }

    /// A member of a cluster that this node may join has made itself known: it is asked, too.
    pub(super) fn hears(&mut self, now: Time, from: &Address) {
        self.last_heard = Some(now);
        if self.asks(from) {
            return;
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.remove(0);
        }
        self.heard.push(from.clone());
        self.next_ask = now;
    }

    /// One of those that were asked says that it belongs to no cluster, and which one it once belonged to.
    pub(super) fn is_alone(&mut self, now: Time, from: &Address, known: Option<ClusterId>) {
        if !self.asks(from) {
            return;
        }
        let own = self.known.as_ref().map(|own| own.id);
        if known.is_some() && own.is_some() && known != own {
            // It waits for another cluster: what it says is no reason to form this one again.
            self.alone.remove(from);
            return;
        }
        self.alone.insert(from.clone(), now);
    }

    /// Begins again: a join through one of them did not succeed.
    pub(super) fn restart(&mut self, now: Time, next_ask: Time) {
        self.started = now;
        self.next_ask = next_ask;
        self.alone.clear();
    }

    /// When [`Bootstrap::step`] has something to do; none where nobody can be asked.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.everyone().next().map(|_| self.next_ask)
    }

    /// What to do now, if anything.
    pub(super) fn step(&mut self, now: Time) -> Option<Step> {
        if self.may_form(now) {
            return Some(Step::Form);
        }
        if now < self.next_ask || self.everyone().next().is_none() {
            return None;
        }
        self.next_ask = now.after(ASK_INTERVAL);
        let mut whom: Vec<Address> = Vec::new();
        for address in self.everyone() {
            if *address != self.this && !whom.contains(address) {
                whom.push(address.clone());
            }
        }
        Some(Step::Ask(whom))
    }

    /// Contact points, members that were known last, and members that were heard; some may be there twice.
    fn everyone(&self) -> impl Iterator<Item = &Address> {
        let known = self.known.iter().flat_map(|known| &known.members);
        self.contact_points.iter().chain(known).chain(&self.heard)
    }

    /// Whether the cluster that this node knows was stopped whole, as far as can be told.
    fn is_stopped(&self, known: &KnownCluster, is_alone: impl Fn(&Address) -> bool) -> bool {
        let members = known.members.iter();
        let alone = members.filter(|member| **member == self.this || is_alone(member));
        known.members.is_empty() || known.members.len() < 2 * alone.count()
    }

    fn may_form(&self, now: Time) -> bool {
        self.hindrance(now).is_none()
    }

    /// What keeps this node from forming a cluster: what lasts longest first.
    fn hindrance(&self, now: Time) -> Option<Hindrance> {
        let first = match self.settings.mode {
            BootstrapMode::SeedNodes => self.contact_points.first(),
            BootstrapMode::StableObservation => self.contact_points.iter().min(),
        };
        if !self.settings.new_cluster_enabled {
            return Some(Hindrance::NotEnabled);
        } else if !self.contact_points.contains(&self.this) {
            return Some(Hindrance::NoContactPoint);
        } else if first != Some(&self.this) {
            return Some(Hindrance::NotFirst);
        }
        let others = self.contact_points.iter().filter(|it| **it != self.this);
        let (asked, alone) = others.fold((0, 0), |(asked, alone), it| {
            (asked + 1, alone + usize::from(self.is_alone_now(now, it)))
        });
        let is_stopped = |known| self.is_stopped(known, |it| self.is_alone_now(now, it));
        if alone + 1 < self.settings.required_contact_points as usize {
            Some(Hindrance::TooFew)
        } else if self.known.is_some() && alone < asked {
            // The others may well go on without this node: their silence means nothing.
            Some(Hindrance::Silent)
        } else if !self.known.as_ref().is_none_or(is_stopped) {
            Some(Hindrance::MembersLost)
        } else if (self.last_heard).is_some_and(|at| now.since(at) < HEARD_COUNTS) {
            Some(Hindrance::Heard)
        } else {
            let is_over = match self.settings.mode {
                BootstrapMode::SeedNodes => {
                    alone == asked || self.seed_node_timeout <= now.since(self.started)
                }
                BootstrapMode::StableObservation => {
                    self.settings.stable_margin <= now.since(self.changed)
                }
            };
            (!is_over).then_some(Hindrance::Soon)
        }
    }

    fn is_alone_now(&self, now: Time, address: &Address) -> bool {
        let said = self.alone.get(address);
        said.is_some_and(|at| now.since(*at) < ANSWER_COUNTS)
    }

    /// Why this node goes on searching, and what somebody can do about it, for the log.
    pub(super) fn why_it_waits(&self, now: Time) -> String {
        let this = &self.this;
        let not_alone = |addresses: &[Address]| {
            let others = addresses.iter().filter(|it| *it != this);
            let others = others.filter(|it| !self.is_alone_now(now, it));
            named(others)
        };
        let by_hand = format!("tell this node to join {this}, which is itself");
        let all_the_same = format!("; to form one here all the same, {by_hand}");
        let reason = match self.hindrance(now) {
            Some(Hindrance::NotEnabled) => format!(
                "bootstrap.new-cluster-enabled = false keeps it from forming a cluster{all_the_same}"
            ),
            Some(Hindrance::NoContactPoint) => format!(
                "it is not one of its own contact points, so it forms no cluster{all_the_same}"
            ),
            Some(Hindrance::NotFirst) => {
                let first = match self.settings.mode {
                    BootstrapMode::SeedNodes => "the first contact point",
                    BootstrapMode::StableObservation => "the contact point of the lowest address",
                };
                format!("only {first} forms a cluster{all_the_same}")
            }
            Some(Hindrance::TooFew) => format!(
                "bootstrap.required-contact-points = {} wants more of them to answer than do; silent, or members of a cluster: {}{all_the_same}",
                self.settings.required_contact_points,
                not_alone(&self.contact_points)
            ),
            Some(Hindrance::Silent) => format!(
                "it once belonged to a cluster, and forms it again only when all contact points say that they are alone; these do not: {}; if they are gone for good, take them from the contact points, or {by_hand}",
                not_alone(&self.contact_points)
            ),
            Some(Hindrance::MembersLost) => {
                let known = self.known.as_ref();
                let members = known.map_or(&[][..], |known| &known.members);
                format!(
                    "it once belonged to a cluster, and forms it again only when more than half of its last {} members say that they are alone; these do not: {}; if they are lost for good, {by_hand}",
                    members.len(),
                    not_alone(members)
                )
            }
            Some(Hindrance::Heard) => "a member of its cluster was heard a moment ago".into(),
            Some(Hindrance::Soon) | None => return "no contact point has let it in yet".into(),
        };
        format!("no contact point has let it in yet; {reason}")
    }
}

/// What keeps a node from forming a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hindrance {
    NotEnabled,
    NoContactPoint,
    NotFirst,
    /// Fewer contact points have answered than are required.
    TooFew,
    /// Its cluster may go on at contact points that say nothing.
    Silent,
    /// Too few of the members that it knew last say that they are alone.
    MembersLost,
    /// A member was heard.
    Heard,
    /// Only time has to pass.
    Soon,
}

/// The first few addresses, and how many more there are.
fn named<'a>(addresses: impl Iterator<Item = &'a Address>) -> String {
    let all: Vec<String> = addresses.map(ToString::to_string).collect();
    let first = all.get(..NAMED_MAX.min(all.len())).unwrap_or_default();
    let more = match all.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    first.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn address(host: &str) -> Address {
        Address::new(host, 7000).unwrap()
    }

    fn at(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    fn contact_points(hosts: &[&str]) -> Vec<Address> {
        hosts.iter().map(|host| address(host)).collect()
    }

    fn bootstrap(
        this: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut BootstrapSettings),
    ) -> Bootstrap {
        let mut settings = BootstrapSettings::default();
        change(&mut settings);
        let settings = (&settings, Duration::from_secs(5));
        Bootstrap::new(address(this), settings, None, contact_points(hosts), at(0))
    }

    fn known(members: &[&str]) -> Option<KnownCluster> {
        Some(KnownCluster {
            id: ClusterId(1),
            members: contact_points(members),
        })
    }

    fn ask(hosts: &[&str]) -> Option<Step> {
        Some(Step::Ask(contact_points(hosts)))
    }

    #[test]
    fn a_lone_first_contact_point_forms_at_once() {
        assert_eq!(
            bootstrap("a", &["a", "a"], |_| {}).step(at(0)),
            Some(Step::Form)
        );
    }

    #[test]
    fn the_first_forms_when_all_others_are_alone_too() {
        let mut first = bootstrap("a", &["a", "b", "c"], |_| {});
        assert_eq!(first.step(at(0)), ask(&["b", "c"]));
        first.is_alone(at(10), &address("b"), None);
        assert_eq!(first.step(at(10)), None);
        first.is_alone(at(20), &address("c"), None);
        assert_eq!(first.step(at(20)), Some(Step::Form));
    }

    #[test]
    fn the_first_forms_when_the_others_are_silent_for_the_timeout() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        for second in 0..5 {
            assert_eq!(first.step(at(1000 * second)), ask(&["b"]));
            assert_eq!(first.next_wake(), Some(at(1000 * second + 1000)));
        }
        assert_eq!(first.step(at(5000)), Some(Step::Form));
    }

    #[test]
    fn nobody_but_the_first_forms() {
        for this in ["b", "z"] {
            let mut other = bootstrap(this, &["a", "b"], |_| {});
            other.is_alone(at(0), &address("a"), None);
            other.is_alone(at(0), &address("b"), None);
            assert!(matches!(other.step(at(60_000)), Some(Step::Ask(_))));
        }
    }

    #[test]
    fn the_first_waits_for_the_required_contact_points_however_long() {
        let mut first = bootstrap("a", &["a", "b", "c"], |settings| {
            settings.required_contact_points = 2;
        });
        assert_eq!(first.step(at(60_000)), ask(&["b", "c"]));
        first.is_alone(at(60_010), &address("c"), None);
        assert_eq!(first.step(at(60_010)), Some(Step::Form));
    }

    #[test]
    fn an_old_answer_does_not_count() {
        let mut first = bootstrap("a", &["a", "b", "c"], |settings| {
            settings.required_contact_points = 2;
        });
        first.is_alone(at(0), &address("b"), None);
        assert_eq!(first.step(at(5000)), ask(&["b", "c"]));
    }

    #[test]
    fn a_stranger_does_not_count() {
        let mut first = bootstrap("a", &["a", "b"], |settings| {
            settings.required_contact_points = 2;
        });
        first.is_alone(at(0), &address("x"), None);
        first.is_alone(at(0), &address("a"), None);
        assert_eq!(first.step(at(6000)), ask(&["b"]));
    }

    #[test]
    fn one_that_knows_its_cluster_never_forms_one_for_silence() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        first.known = known(&["a", "b"]);
        assert_eq!(first.step(at(60_000)), ask(&["b"]));
        let mut lone = bootstrap("a", &["a"], |_| {});
        lone.known = known(&["a", "b"]);
        assert_eq!(lone.step(at(60_000)), ask(&["b"]));
    }

    #[test]
    fn one_that_was_alone_in_its_cluster_forms_it_again_at_once() {
        let mut lone = bootstrap("a", &["a"], |_| {});
        lone.known = known(&["a"]);
        assert_eq!(lone.step(at(0)), Some(Step::Form));
    }

    #[test]
    fn one_that_had_others_around_it_needs_more_than_half_of_them_to_be_alone() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        first.known = known(&["a", "b", "c", "d"]);
        assert_eq!(first.step(at(0)), ask(&["b", "c", "d"]));
        first.is_alone(at(10), &address("b"), Some(ClusterId(1)));
        assert_eq!(first.step(at(10)), None);
        first.is_alone(at(20), &address("d"), Some(ClusterId(1)));
        assert_eq!(first.step(at(20)), Some(Step::Form));
        // The members may well be of a life before the contact points'.
        let mut other = bootstrap("a", &["a", "b"], |_| {});
        other.known = known(&["c"]);
        other.is_alone(at(10), &address("b"), Some(ClusterId(1)));
        assert_eq!(other.step(at(60_000)), ask(&["b", "c"]));
    }

    #[test]
    fn a_member_that_is_heard_is_asked_at_once_and_keeps_the_node_from_forming() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        assert_eq!(first.step(at(0)), ask(&["b"]));
        first.hears(at(100), &address("c"));
        assert_eq!(first.step(at(100)), ask(&["b", "c"]));
        assert!(first.asks(&address("c")));
        first.is_alone(at(14_000), &address("b"), None);
        assert_eq!(first.step(at(14_000)), ask(&["b", "c"]));
        first.is_alone(at(15_100), &address("b"), None);
        assert_eq!(first.step(at(15_100)), Some(Step::Form));
        for host in ["d", "e", "f", "g", "h", "i", "j", "k"] {
            first.hears(at(16_000), &address(host));
        }
        assert!(!first.asks(&address("c")));
    }

    #[test]
    fn a_cluster_that_stopped_whole_forms_again_when_all_say_so() {
        let mut first = bootstrap("a", &["a", "b", "c"], |_| {});
        first.known = known(&["a", "b", "c"]);
        first.is_alone(at(0), &address("b"), Some(ClusterId(1)));
        first.is_alone(at(0), &address("c"), Some(ClusterId(2)));
        assert_eq!(first.step(at(0)), ask(&["b", "c"]));
        first.is_alone(at(10), &address("c"), Some(ClusterId(1)));
        assert_eq!(first.step(at(10)), Some(Step::Form));
    }

    #[test]
    fn a_node_that_waits_says_what_for_and_what_can_be_done() {
        let first = "no contact point has let it in yet; ";
        let why = |this: &str, hosts: &[&str], change: fn(&mut BootstrapSettings), of| {
            let mut node = bootstrap(this, hosts, change);
            node.known = of;
            node.is_alone(at(0), &address("b"), None);
            let why = node.why_it_waits(at(0));
            why.strip_prefix(first).map(ToString::to_string)
        };
        let kept = "it once belonged to a cluster, and forms it again only when ";
        let by_hand = "tell this node to join a:7000, which is itself";
        assert_eq!(why("a", &["a", "c"], |_| {}, None), None);
        let same = |host: &str| {
            format!(
                "; to form one here all the same, tell this node to join {host}:7000, which is itself"
            )
        };
        let with = |text: &str, host: &str| Some(format!("{text}{}", same(host)));
        assert_eq!(
            why("a", &["a"], |it| it.new_cluster_enabled = false, None),
            with(
                "bootstrap.new-cluster-enabled = false keeps it from forming a cluster",
                "a"
            )
        );
        assert_eq!(
            why("x", &["a"], |_| {}, None),
            with(
                "it is not one of its own contact points, so it forms no cluster",
                "x"
            )
        );
        assert_eq!(
            why("b", &["a", "b"], |_| {}, None),
            with("only the first contact point forms a cluster", "b")
        );
        assert_eq!(
            why(
                "a",
                &["a", "b", "c", "d"],
                |it| it.required_contact_points = 3,
                None
            ),
            with(
                "bootstrap.required-contact-points = 3 wants more of them to answer than do; silent, or members of a cluster: c:7000, d:7000",
                "a"
            )
        );
        assert_eq!(
            why("a", &["a", "b", "c"], |_| {}, known(&["a"])),
            Some(format!(
                "{kept}all contact points say that they are alone; these do not: c:7000; if they are gone for good, take them from the contact points, or {by_hand}"
            ))
        );
        assert_eq!(
            why("a", &["a", "b"], |_| {}, known(&["a", "b", "c", "d"])),
            Some(format!(
                "{kept}more than half of its last 4 members say that they are alone; these do not: c:7000, d:7000; if they are lost for good, {by_hand}"
            ))
        );
        let many: Vec<Address> = (0..10).map(|n| address(&format!("m{n}"))).collect();
        assert!(named(many.iter()).ends_with("m7:7000 and 2 more"));
    }

    #[test]
    fn by_observation_the_lowest_forms_once_the_set_is_stable() {
        let stable = |settings: &mut BootstrapSettings| {
            settings.mode = BootstrapMode::StableObservation;
            settings.required_contact_points = 2;
        };
        let mut lowest = bootstrap("a", &["c", "a"], stable);
        assert_eq!(lowest.step(at(0)), ask(&["c"]));
        lowest.contacts(at(3000), contact_points(&["c", "a", "b"]));
        lowest.is_alone(at(7000), &address("b"), None);
        assert_eq!(lowest.step(at(7999)), ask(&["c", "b"]));
        assert_eq!(lowest.step(at(8000)), Some(Step::Form));
        let mut other = bootstrap("b", &["c", "a", "b"], stable);
        other.is_alone(at(9000), &address("a"), None);
        other.is_alone(at(9000), &address("c"), None);
        assert_eq!(other.step(at(9000)), ask(&["c", "a"]));
    }

    #[test]
    fn a_node_that_may_not_form_a_cluster_does_not() {
        let mut first = bootstrap("a", &["a"], |settings| settings.new_cluster_enabled = false);
        assert_eq!(first.step(at(60_000)), ask(&[]));
    }

    #[test]
    fn without_contact_points_there_is_nothing_to_wait_for() {
        let mut node = bootstrap("a", &[], |_| {});
        assert_eq!((node.step(at(0)), node.next_wake()), (None, None));
        node.contacts(at(5), vec![address("b")]);
        assert_eq!(node.next_wake(), Some(at(5)));
    }
}
