//! Pictures for tests, written in a line.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::address::UniqueAddress;
use super::gossip::Gossip;
use super::member::{Decider, Member, Profile, Status};
use super::reachability::Reach;

/// `a` is at `a:7000`, `a2000` at `a:2000`; the uid is 1, or what follows `#`.
pub(super) fn node(text: &str) -> UniqueAddress {
    let (text, uid) = text.split_once('#').unwrap_or((text, "1"));
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let port = text.get(name.len()..).filter(|port| 4 <= port.len());
    let (name, port) = port.map_or((text, 7000), |port| (name, port.parse().unwrap()));
    let address = alloc::format!("{name}:{port}").parse().unwrap();
    UniqueAddress::new(address, uid.parse().unwrap())
}

/// `a`, `a:w` (a status by its letter: j, w, u, p, r, l, e, d), `a@west`, `a/3` (up number), `a+web` (role), in this order.
fn member(text: &str, default_number: u32) -> Member {
    let mut rest = text.split('+');
    let front = rest.next().unwrap();
    let roles = rest.map(Into::into).collect();
    let (front, number) = match front.split_once('/') {
        Some((front, number)) => (front, number.parse().unwrap()),
        None => (front, default_number),
    };
    let (front, dc) = front
        .split_once('@')
        .unwrap_or((front, Profile::DEFAULT_DC));
    let (name, letter) = front.split_once(':').unwrap_or((front, "u"));
    let profile = Profile {
        roles,
        dc: dc.into(),
        ..Profile::plain()
    };
    let status = match letter {
        "j" => Status::Joining,
        "w" => Status::WeaklyUp,
        "u" => Status::Up,
        "p" => Status::PreparingForShutdown,
        "r" => Status::ReadyForShutdown,
        "l" => Status::Leaving,
        "e" => Status::Exiting,
        "d" => Status::Down,
        other => panic!("no status has the letter {other}"),
    };
    Member {
        node: node(name),
        status,
        up_number: (!status.waits_for_up()).then_some(number),
        downed_by: (status == Status::Down).then_some(Decider::Operator),
        profile: Arc::new(profile),
    }
}

/// The members as they are written, with the numbers 1, 2, … where none is; nobody has seen it.
pub(super) fn picture(members: &str) -> Gossip {
    let texts = members.split_whitespace();
    let members: Vec<_> = (1..).zip(texts).map(|(n, text)| member(text, n)).collect();
    let first = members
        .first()
        .map_or_else(|| node("a"), |first| first.node.clone());
    let mut gossip = Gossip::default();
    let mut change = gossip.change(&first);
    for member in members {
        let profile = member.profile.clone();
        let joining = Member::joining(member.node.clone(), profile);
        change.join(joining).unwrap();
        let node = &member.node;
        if let Some(number) = member.up_number {
            change.promote(node, number).unwrap();
        }
        let steps: &[Status] = match member.status {
            Status::WeaklyUp => &[Status::WeaklyUp],
            Status::PreparingForShutdown => &[Status::PreparingForShutdown],
            Status::ReadyForShutdown => &[Status::PreparingForShutdown, Status::ReadyForShutdown],
            Status::Leaving => &[Status::Leaving],
            Status::Exiting => &[Status::Leaving, Status::Exiting],
            Status::Joining | Status::Up | Status::Down | Status::Removed => &[],
        };
        for step in steps {
            change.set_status(node, *step).unwrap();
        }
        if let Some(decider) = member.downed_by {
            change.down(node, decider).unwrap();
        }
    }
    drop(change);
    gossip.unsee(&first);
    gossip
}

/// Adds observations, `a→b` for unreachable, `a✓b` and `aTb`, and then who has seen the picture.
pub(super) fn with(mut gossip: Gossip, rows: &str, seen_by: &str) -> Gossip {
    for row in rows.split_whitespace() {
        let marks = [
            ('→', Reach::Unreachable),
            ('✓', Reach::Reachable),
            ('T', Reach::Terminated),
        ];
        let (observer, subject, reach) = marks
            .into_iter()
            .find_map(|(mark, reach)| {
                let (observer, subject) = row.split_once(mark)?;
                Some((observer, subject, reach))
            })
            .expect("an observation");
        let observer = node(observer);
        gossip.change(&observer).observe(&node(subject), reach);
    }
    let members: Vec<_> = gossip
        .members()
        .iter()
        .map(|member| member.node.clone())
        .collect();
    members.iter().for_each(|node| gossip.unsee(node));
    seen_by
        .split_whitespace()
        .for_each(|name| gossip.see(&node(name)));
    gossip
}

/// The names of nodes, as they are written here.
pub(super) fn names<'a>(nodes: impl IntoIterator<Item = &'a UniqueAddress>) -> Vec<&'a str> {
    nodes.into_iter().map(|node| node.address.host()).collect()
}
