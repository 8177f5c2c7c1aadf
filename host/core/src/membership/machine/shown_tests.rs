//! Effects as lines of text, so that a test can compare all of them at a glance. Nothing that matters is left out but who is who beyond a host's
//! name.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::membership::address::{Address, UniqueAddress};
use crate::membership::effects::{Effect, Marker};
use crate::membership::event::ClusterEvent;
use crate::membership::gossip::{Gossip, VersionDigest};
use crate::membership::machine::Membership;
use crate::membership::member::Status;
use crate::membership::message::{ConfigCheck, Envelope, Message, Relay};
use crate::membership::reachability::Reach;
use crate::membership::subscription::Notice;

pub(super) fn shown(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(effect).collect()
}

/// The same of what `sender` has just sent: differences as the pictures that they lead to, statuses with who has seen.
pub(super) fn told(sender: &Membership, effects: &[Effect]) -> Vec<String> {
    let detail = |effect: &Effect| {
        let Effect::Send { envelope, .. } = effect else {
            return String::new();
        };
        match &envelope.message {
            Message::GossipDelta(message) => {
                let gossip = sender.history.apply(&message.delta).unwrap();
                assert_eq!(
                    VersionDigest::of(&gossip),
                    VersionDigest::of(sender.gossip())
                );
                let relay = relayed(sender, message.relay);
                format!(" ({}{relay})", picture(&gossip))
            }
            Message::Status(status) => {
                assert_eq!(status.version, VersionDigest::of(sender.gossip()));
                let members = sender.gossip().members().len();
                let seen = sender.gossip().seen_as(status.seen.among(members).unwrap());
                let seen: Vec<&str> = seen.seen_by().map(host).collect();
                let kind = if status.answers { "answers" } else { "asks" };
                let relay = relayed(sender, status.relay);
                format!(" ({kind}, seen by {}{relay})", seen.join(" "))
            }
            Message::InitJoin(_)
            | Message::InitJoinAck(_)
            | Message::InitJoinNack(_)
            | Message::Join(_)
            | Message::JoinRefused(_)
            | Message::Welcome(_)
            | Message::Version(_)
            | Message::Gossip(_)
            | Message::Heartbeat(_)
            | Message::HeartbeatReply(_)
            | Message::CrossHeartbeat(_)
            | Message::CrossHeartbeatReply(_)
            | Message::Gone
            | Message::ExitingConfirmed
            | Message::SharedStateDigest(_)
            | Message::SharedState(_)
            | Message::Broadcast(_)
            | Message::Presence(_)
            | Message::Ballot(_)
            | Message::Vote(_) => String::new(),
        }
    };
    let lines = effects.iter().map(|each| effect(each) + &detail(each));
    lines.collect()
}

/// Whom the receiver is to tell in turn, itself left in.
fn relayed(sender: &Membership, relay: Option<Relay>) -> String {
    let Some(relay) = relay else {
        return String::new();
    };
    let members = sender.gossip().members();
    let members = members[relay.among(members.len())].iter();
    let hosts: Vec<&str> = members.map(|member| host(&member.node)).collect();
    format!(", to {}", hosts.join(" "))
}

/// `a b:j c:l, seen by a b, a→c`
pub(super) fn picture(gossip: &Gossip) -> String {
    let letter = |status: Status| match status {
        Status::Joining => ":j",
        Status::WeaklyUp => ":w",
        Status::Up => "",
        Status::PreparingForShutdown => ":p",
        Status::ReadyForShutdown => ":r",
        Status::Leaving => ":l",
        Status::Exiting => ":e",
        Status::Down => ":d",
        Status::Removed => ":removed",
    };
    let members = gossip.members().iter();
    let members = members.map(|member| format!("{}{}", host(&member.node), letter(member.status)));
    let mut text = members.collect::<Vec<_>>().join(" ");
    let seen: Vec<&str> = gossip.seen_by().map(host).collect();
    text += &format!(", seen by {}", seen.join(" "));
    for (observer, subject, reach, _) in gossip.reachability().rows() {
        let mark = match reach {
            Reach::Reachable => "✓",
            Reach::Unreachable => "→",
            Reach::Terminated => "T",
        };
        text += &format!(", {}{mark}{}", host(observer), host(subject));
    }
    text
}

fn host(node: &UniqueAddress) -> &str {
    node.address.host()
}

fn hosts(nodes: &[UniqueAddress]) -> String {
    nodes.iter().map(host).collect::<Vec<_>>().join(" ")
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, envelope } => {
            assert_eq!(envelope.version.0, 1);
            let uid = if envelope.to.is_some() { "" } else { "?" };
            format!("to {}{uid}: {}", to.host(), message(envelope))
        }
        Effect::Publish { subscriber, notice } => {
            format!("publish to {}: {}", subscriber.0, self::notice(notice))
        }
        Effect::Reply { id, result } => match result {
            Ok(answer) => format!("reply to {}: {answer:?}", id.0),
            Err(error) => format!("reply to {}: {error}", id.0),
        },
        Effect::Callback { callback } => format!("callback {}", callback.0),
        Effect::Explain(explanation) => format!("explain {:?}", explanation.decision.name()),
        Effect::Lease(request) => format!("lease {request:?}"),
        Effect::PersistCluster(known) => {
            let members: Vec<&str> = known.members.iter().map(Address::host).collect();
            format!("persist the cluster of {}", members.join(" "))
        }
        Effect::BeginExit { reason } => format!("begin exit: {reason:?}"),
        Effect::Terminate { reason } => format!("terminate: {reason:?}"),
        Effect::Log(marker) => format!("log {}{}", marker.name(), fields(marker)),
        Effect::Quarantine { node, .. } => format!("quarantine {}", host(node)),
        Effect::ClearQuarantine { node } => format!("let in {}", host(node)),
        Effect::Deliver { from, bytes } => format!("deliver from {}: {bytes:?}", host(from)),
        Effect::Consensus { key, value } => format!("agreed on {key}: {value:?}"),
        Effect::Waited { id, value } => format!("waited {}: {value:?}", id.0),
        Effect::SharedChanged { node, key } => format!("shared {key} of {}", host(node)),
    }
}

fn message(envelope: &Envelope) -> String {
    let name = envelope.message.name();
    let detail = match &envelope.message {
        Message::InitJoinAck(ack) => match &ack.check {
            ConfigCheck::Compatible(_) => "compatible".into(),
            ConfigCheck::Incompatible(problems) => problems.join("; "),
            ConfigCheck::Unchecked(_) => "unchecked".into(),
        },
        Message::InitJoinNack(reason) => reason.to_string(),
        Message::JoinRefused(reason) => reason.to_string(),
        Message::Welcome(welcome) => {
            format!(
                "of {}: {}",
                host(&welcome.founder),
                picture(&welcome.gossip)
            )
        }
        Message::Presence(presence) => {
            format!("of {}: {:?}", host(&presence.founder), presence.members)
        }
        Message::Ballot(ballot) => {
            let down: Vec<&str> = ballot.down.iter().map(host).collect();
            format!("{}: {}", ballot.number, down.join(" "))
        }
        Message::Vote(vote) => {
            let bound: Vec<&str> = vote.bound.iter().map(host).collect();
            format!("{}: {}", vote.number, bound.join(" "))
        }
        Message::Gossip(message) => picture(&message.gossip),
        Message::Version(version) => format!("{} counters", version.len()),
        Message::Heartbeat(beat)
        | Message::HeartbeatReply(beat)
        | Message::CrossHeartbeat(beat)
        | Message::CrossHeartbeatReply(beat) => beat.seq.to_string(),
        Message::Broadcast(words) => format!("{words:?}"),
        Message::InitJoin(_)
        | Message::Join(_)
        | Message::Status(_)
        | Message::GossipDelta(_)
        | Message::Gone
        | Message::ExitingConfirmed
        | Message::SharedStateDigest(_)
        | Message::SharedState(_) => return name.into(),
    };
    format!("{name} ({detail})")
}

fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Snapshot(state) => format!("snapshot of {} members", state.members.len()),
        Notice::Lagged { missed } => format!("lagged by {missed}"),
        Notice::Event(event) => self::event(event),
    }
}

pub(super) fn event(event: &ClusterEvent) -> String {
    let leader = |leader: &Option<UniqueAddress>| {
        let leader = leader.as_ref();
        leader.map_or_else(|| "nobody".into(), |leader| host(leader).to_string())
    };
    match event {
        ClusterEvent::LeaderChanged { leader: who } => format!("leader-changed {}", leader(who)),
        ClusterEvent::RoleLeaderChanged { role, leader: who } => {
            format!("role-leader-changed {role} {}", leader(who))
        }
        ClusterEvent::MemberRemoved { member, previous } => {
            format!("member-removed {} {previous}", host(&member.node))
        }
        ClusterEvent::UnreachableDataCenter { dc } | ClusterEvent::ReachableDataCenter { dc } => {
            format!("{} {dc}", event.name())
        }
        ClusterEvent::TopologyChanged { .. }
        | ClusterEvent::TombstonesChanged { .. }
        | ClusterEvent::SeenChanged { .. }
        | ClusterEvent::ReachabilityChanged { .. }
        | ClusterEvent::ClusterShuttingDown => event.name().into(),
        ClusterEvent::MemberJoined { member }
        | ClusterEvent::MemberWeaklyUp { member }
        | ClusterEvent::MemberUp { member }
        | ClusterEvent::MemberPreparingForShutdown { member }
        | ClusterEvent::MemberReadyForShutdown { member }
        | ClusterEvent::MemberLeft { member }
        | ClusterEvent::MemberExited { member }
        | ClusterEvent::MemberDowned { member }
        | ClusterEvent::MemberChanged { member }
        | ClusterEvent::UnreachableMember { member }
        | ClusterEvent::ReachableMember { member } => {
            format!("{} {}", event.name(), host(&member.node))
        }
    }
}

fn fields(marker: &Marker) -> String {
    match marker {
        Marker::Unreachable { node, .. } | Marker::Reachable { node, .. } => {
            format!(" {}", host(node))
        }
        Marker::MemberChanged { node, from, to } => {
            let from = from.map_or("none", Status::name);
            format!(" {} {from} {to}", host(node))
        }
        Marker::IllegalTransition { node, from, to } => format!(" {} {from} {to}", host(node)),
        Marker::LeaderIncapacitated {
            unseen,
            unreachable,
        } => format!(
            " unseen {} unreachable {}",
            hosts(unseen),
            hosts(unreachable)
        ),
        Marker::JoinFailed { by, reason } => match by {
            Some(by) => format!(" by {}: {reason}", by.host()),
            None => format!(": {reason}"),
        },
        Marker::JoinIncompatible { by, problems } => {
            format!(" by {}: {}", by.host(), problems.join("; "))
        }
        Marker::Rejected {
            from,
            message,
            reason,
            count,
        } => format!(" {message} from {}: {reason:?} {count}", from.host()),
        Marker::Quarantined { node, .. } => format!(" {}", host(node)),
        Marker::RivalCluster {
            by,
            founder,
            theirs,
            ours,
        } => format!(" by {}: {theirs} of {} and {ours}", host(by), host(founder)),
        Marker::Downing { decision, says, .. } => format!(" {decision}: {says}"),
        Marker::Welcomed {
            node,
            product_version,
            problems,
        } => {
            let version = product_version.as_deref().unwrap_or("none");
            let problems = problems.iter().map(|problem| format!("; {problem}"));
            format!(" {} {version}{}", host(node), problems.collect::<String>())
        }
        Marker::DowningNode { node, decision } => format!(" {} {decision}", host(node)),
        Marker::LeaseAcquired { decision } | Marker::LeaseDenied { decision } => {
            format!(" {decision}")
        }
        Marker::HeartbeatStarvation { stalled } => format!(" {stalled:?}"),
        Marker::DowningInstability { .. }
        | Marker::TooManyMembers { .. }
        | Marker::ClusterFormed { .. }
        | Marker::LeaderRestored
        | Marker::LeaseReleased => String::new(),
    }
}
