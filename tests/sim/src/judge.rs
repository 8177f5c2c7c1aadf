//! Whether what is expected holds, looked at whenever something has changed that it may rest on.

use std::collections::BTreeSet;
use std::time::Duration;

use granary_core::membership::state::ClusterState;

use crate::host::{Host, Process};
use crate::scenario::{EventWant, Expect, Want, When};
use crate::view;
use crate::world::World;

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The line of the expectation; none for what a rule has found.
    pub line: Option<usize>,
    /// When it was known.
    pub at: Duration,
    /// What is otherwise than expected.
    pub why: String,
}

/// Why a want does not hold.
struct Reason {
    /// Whose view it is; none where it may be anybody's.
    host: Option<usize>,
    why: String,
}

/// One expectation, as far as it has been judged.
struct Case {
    expect: Expect,
    begun: bool,
    done: bool,
    /// Whose view must change before it can hold.
    witness: Option<usize>,
    /// Whether anything could be looked at so far, for an `always` about all running nodes.
    looked: bool,
}

/// The expectations of one run.
pub struct Judge {
    cases: Vec<Case>,
}

impl Judge {
    /// Nothing has been judged.
    pub fn new(expects: &[Expect]) -> Self {
        let case = |expect: &Expect| Case {
            expect: expect.clone(),
            begun: false,
            done: false,
            witness: None,
            looked: false,
        };
        Self {
            cases: expects.iter().map(case).collect(),
        }
    }

    /// The next moment at which a window begins or ends.
    pub fn next(&self) -> Option<Duration> {
        let open = self.cases.iter().filter(|case| !case.done);
        open.map(|case| match (case.begun, case.expect.when) {
            (false, when) => when.begin(),
            (true, when) => when.end(),
        })
        .min()
    }

    /// Looks at what has just changed. Errors: an `always` that does not hold.
    pub fn changed(&mut self, world: &World, hosts: &BTreeSet<usize>) -> Result<(), Unmet> {
        if hosts.is_empty() {
            return Ok(());
        }
        let open = self
            .cases
            .iter_mut()
            .filter(|case| case.begun && !case.done);
        for case in open {
            case.look(world, Some(hosts))?;
        }
        Ok(())
    }

    /// Opens and closes the windows of this moment. Errors: an expectation that does not hold at its moment, or has not within its window.
    pub fn moment(&mut self, world: &World) -> Result<(), Unmet> {
        let now = world.now();
        for case in self.cases.iter_mut().filter(|case| !case.done) {
            if !case.begun && case.expect.when.begin() <= now {
                case.begun = true;
                case.look(world, None)?;
            }
            if case.begun && !case.done && case.expect.when.end() <= now {
                case.close(world)?;
            }
        }
        Ok(())
    }
}

impl Case {
    fn look(&mut self, world: &World, changed: Option<&BTreeSet<usize>>) -> Result<(), Unmet> {
        match self.expect.when {
            When::At(_) => Ok(()),
            When::Within(..) => {
                let untouched = self
                    .witness
                    .zip(changed)
                    .is_some_and(|(witness, changed)| !changed.contains(&witness));
                if self.is_counted() || untouched {
                    return Ok(());
                }
                match self.holds(world, None) {
                    Ok(()) => self.done = true,
                    Err(reason) => self.witness = reason.host,
                }
                Ok(())
            }
            When::Always(..) => {
                self.looked |= !self.on(world, None).is_empty();
                if self.is_deserted(world) {
                    return Err(self.unmet(world, "no node runs any more".to_owned()));
                }
                match self.holds(world, changed) {
                    Ok(()) => Ok(()),
                    Err(reason) => Err(self.unmet(world, reason.why)),
                }
            }
        }
    }

    fn close(&mut self, world: &World) -> Result<(), Unmet> {
        self.done = true;
        if self.is_always() {
            return match self.looked {
                true => Ok(()),
                false => Err(self.unmet(world, "no node ran in all that time".to_owned())),
            };
        }
        self.holds(world, None)
            .map_err(|reason| self.unmet(world, reason.why))
    }

    fn unmet(&self, world: &World, why: String) -> Unmet {
        Unmet {
            line: Some(self.expect.line),
            at: world.now(),
            why,
        }
    }

    /// Whether it can be judged at its end only.
    fn is_counted(&self) -> bool {
        let counted = |want: &Want| matches!(want, Want::Event(event) if event.count.is_some());
        self.expect.wants.iter().any(counted)
    }

    fn is_always(&self) -> bool {
        matches!(self.expect.when, When::Always(..))
    }

    /// Whether it is about nobody's view.
    fn is_global(&self) -> bool {
        let mut wants = self.expect.wants.iter();
        wants.all(|want| matches!(want, Want::Terminated(_)))
    }

    /// Whether it is about the nodes that run, and none is there any more to hold it for.
    fn is_deserted(&self, world: &World) -> bool {
        self.looked
            && self.expect.on.is_none()
            && !self.is_global()
            && !world.hosts().iter().any(Host::is_there)
    }

    /// The nodes to look at, of the changed ones if only these matter.
    fn on(&self, world: &World, changed: Option<&BTreeSet<usize>>) -> Vec<usize> {
        let named = match &self.expect.on {
            Some(on) => on.clone(),
            None => {
                let all = world.hosts().iter().enumerate();
                all.filter(|(_, host)| host.runs())
                    .map(|(place, _)| place)
                    .collect()
            }
        };
        let matters = |place: &usize| changed.is_none_or(|changed| changed.contains(place));
        named.into_iter().filter(matters).collect()
    }

    fn holds(&self, world: &World, changed: Option<&BTreeSet<usize>>) -> Result<(), Reason> {
        let on = self.on(world, changed);
        // Nothing can be seen before the first node runs; an `always` is then about nobody yet.
        if on.is_empty() && changed.is_none() && !self.is_global() && !self.is_always() {
            let why = "no node runs".to_owned();
            return Err(Reason { host: None, why });
        }
        for want in &self.expect.wants {
            match want {
                Want::Terminated(nodes) => terminated(world, nodes)?,
                Want::SameView(same) => same_view(world, &self.expect, *same)?,
                Want::Status(..)
                | Want::Members(_)
                | Want::Unreachable(_)
                | Want::Leader(_)
                | Want::RoleLeader(..)
                | Want::Oldest(..)
                | Want::Converged(_)
                | Want::Event(_)
                | Want::State(..)
                | Want::Place(..) => {
                    for host in &on {
                        self.on_one(world, *host, want)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn on_one(&self, world: &World, place: usize, want: &Want) -> Result<(), Reason> {
        let host = &world.hosts()[place];
        let because = |why: String| Reason {
            host: Some(place),
            why: format!("on {}: {why}", host.node.name),
        };
        if let Want::Event(want) = want {
            let begin = match self.expect.when {
                When::At(_) => Duration::ZERO,
                When::Within(begin, _) | When::Always(begin, _) => begin,
            };
            return event(world, host, want, begin).map_err(because);
        }
        let last = matches!(host.process, Process::Ended(_)) || host.is_there();
        let Some(state) = world.state(place).filter(|_| last) else {
            return Err(because("it does not run".to_owned()));
        };
        match want {
            Want::Status(node, statuses) => {
                let found = view::status(world, state, *node);
                let wanted: Vec<&str> = statuses.iter().map(view::word).collect();
                let name = &world.hosts()[*node].node.name;
                met(statuses.contains(&found), || {
                    format!(
                        "{name} is {}, not {}",
                        view::word(&found),
                        wanted.join(" or ")
                    )
                })
            }
            Want::Members(nodes) => {
                let found = view::members(world, state);
                met(found == *nodes, || sets(world, "members", &found, nodes))
            }
            Want::Unreachable(nodes) => {
                let found = view::unreachable(world, state);
                met(found == *nodes, || {
                    sets(world, "unreachable", &found, nodes)
                })
            }
            Want::Leader(node) => one(world, "the leader", view::leader(world, state), *node),
            Want::RoleLeader(role, node) => {
                let found = view::role_leader(world, state, role);
                one(world, &format!("the leader of {role}"), found, *node)
            }
            Want::Oldest(role, node) => {
                let found = view::oldest(world, place, role.as_deref());
                one(world, "the oldest", found, *node)
            }
            Want::Converged(converged) => met(state.converged == *converged, || match converged {
                true => "the view has not converged".to_owned(),
                false => "the view has converged".to_owned(),
            }),
            Want::State(node, key, value) => {
                let found = view::shared(world, place, *node, key);
                met(found == *value, || {
                    let name = &world.hosts()[*node].node.name;
                    let (found, value) = (shown(&found), shown(value));
                    format!("{name}/{key} is {found}, not {value}")
                })
            }
            Want::Place(grain, node) => {
                let found = view::owner(state, grain);
                let found = found.and_then(|host| world.place(&host.address));
                one(world, &format!("the host of {grain}"), found, *node)
            }
            Want::Terminated(_) | Want::SameView(_) | Want::Event(_) => Ok(()),
        }
        .map_err(because)
    }
}

fn met(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn shown(value: &Option<String>) -> String {
    match value {
        Some(value) => format!("\"{value}\""),
        None => "nothing".to_owned(),
    }
}

fn names(world: &World, nodes: &BTreeSet<usize>) -> String {
    let names = nodes
        .iter()
        .map(|node| world.hosts()[*node].node.name.clone());
    let names: Vec<String> = names.collect();
    match names.is_empty() {
        true => "nobody".to_owned(),
        false => names.join(", "),
    }
}

fn sets(world: &World, what: &str, found: &BTreeSet<usize>, wanted: &BTreeSet<usize>) -> String {
    let (found, wanted) = (names(world, found), names(world, wanted));
    format!("{what}: {found}; not {wanted}")
}

fn one(
    world: &World,
    what: &str,
    found: Option<usize>,
    wanted: Option<usize>,
) -> Result<(), String> {
    let name = |node: Option<usize>| match node {
        Some(node) => world.hosts()[node].node.name.clone(),
        None => "nobody".to_owned(),
    };
    met(found == wanted, || {
        format!("{what} is {}, not {}", name(found), name(wanted))
    })
}

fn terminated(world: &World, nodes: &BTreeSet<usize>) -> Result<(), Reason> {
    let ended = |host: &Host| matches!(host.process, Process::Ended(_));
    let all = world.hosts().iter().enumerate();
    let found: BTreeSet<usize> = all
        .filter(|(_, host)| ended(host))
        .map(|(place, _)| place)
        .collect();
    let holds = match nodes.is_empty() {
        true => found.is_empty(),
        false => nodes.is_subset(&found),
    };
    met(holds, || sets(world, "terminated", &found, nodes))
        .map_err(|why| Reason { host: None, why })
}

fn same_view(world: &World, expect: &Expect, same: bool) -> Result<(), Reason> {
    let on: Vec<usize> = match &expect.on {
        Some(on) => on.clone(),
        None => (0..world.hosts().len())
            .filter(|place| world.hosts()[*place].runs())
            .collect(),
    };
    let mut first: Option<(usize, &ClusterState)> = None;
    let mut differ = None;
    for place in on {
        let name = &world.hosts()[place].node.name;
        let Some(state) = world.state(place) else {
            let (host, why) = (Some(place), format!("on {name}: it does not run"));
            return Err(Reason { host, why });
        };
        match first {
            None => first = Some((place, state)),
            Some((other, seen)) if !view::alike(seen, state) => {
                differ = Some((other, place));
                break;
            }
            Some(_) => {}
        }
    }
    let name = |place: usize| world.hosts()[place].node.name.as_str();
    let found = differ
        .map(|(one, other)| format!("{} and {} see different members", name(one), name(other)));
    met(found.is_none() == same, || {
        found.unwrap_or_else(|| "all see the same members".to_owned())
    })
    .map_err(|why| Reason { host: None, why })
}

fn event(world: &World, host: &Host, want: &EventWant, begin: Duration) -> Result<(), String> {
    let now = world.now();
    let heard = host
        .heard
        .iter()
        .filter(|heard| (begin..=now).contains(&heard.at));
    let heard = heard.filter(|heard| heard.fits(want));
    if !want.order.is_empty() {
        let mut wanted = want.order.iter().peekable();
        for heard in heard {
            if wanted.peek().is_some_and(|name| **name == heard.name) {
                wanted.next();
            }
        }
        return match wanted.next() {
            Some(name) => Err(format!("{name} did not come, or not in that order")),
            None => Ok(()),
        };
    }
    let count = heard.count() as u64;
    let what = want.name.as_deref().unwrap_or("such an event");
    match want.count {
        None => met(0 < count, || format!("{what} was not published")),
        Some(wanted) => met(count == wanted, || {
            format!("{what} was published {count} times, not {wanted} times")
        }),
    }
}
