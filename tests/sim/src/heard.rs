//! An event that a node has published, as expectations look at it.

use std::sync::Arc;
use std::time::Duration;

use granary_core::membership::address::Address;
use granary_core::membership::event::ClusterEvent;
use granary_core::membership::member::Status;

use crate::scenario::EventWant;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Duration,
    /// Its name.
    pub name: &'static str,
    /// Whom it is about: the place of the node.
    pub node: Option<usize>,
    /// The status that a removed member had before.
    pub previous: Option<Status>,
    /// The role that it is about.
    pub role: Option<Arc<str>>,
    /// The data centre that it is about.
    pub dc: Option<Arc<str>>,
}

impl Heard {
    /// What `place` calls the node at an address.
    pub fn new(
        at: Duration,
        event: &ClusterEvent,
        place: impl Fn(&Address) -> Option<usize>,
    ) -> Self {
        let (mut previous, mut role, mut dc) = (None, None, None);
        if let ClusterEvent::MemberRemoved {
            previous: before, ..
        } = event
        {
            previous = Some(*before);
        }
        if let ClusterEvent::RoleLeaderChanged { role: of, .. } = event {
            role = Some(of.clone());
        }
        if let ClusterEvent::UnreachableDataCenter { dc: of }
        | ClusterEvent::ReachableDataCenter { dc: of } = event
        {
            dc = Some(of.clone());
        }
        Self {
            at,
            name: event.name(),
            node: event.node().and_then(|node| place(&node.address)),
            previous,
            role,
            dc,
        }
    }

    /// Whether it is one that is looked for.
    pub fn fits(&self, want: &EventWant) -> bool {
        want.name.as_deref().is_none_or(|name| name == self.name)
            && want.node.is_none_or(|node| node == self.node)
            && want
                .previous
                .is_none_or(|status| Some(status) == self.previous)
            && want
                .role
                .as_deref()
                .is_none_or(|role| Some(role) == self.role.as_deref())
            && want
                .dc
                .as_deref()
                .is_none_or(|dc| Some(dc) == self.dc.as_deref())
    }
}
