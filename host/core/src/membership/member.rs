//! One member: what it is, and how far it has come.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::address::{Address, UniqueAddress};
use super::protocol::ProtocolRange;
pub use super::version::{AppVersion, AppVersionError};
use crate::id::KindName;

/// How far a member has come. Whether it can be reached is kept apart, in the reachability table.
///
/// The order is the one in which pictures are merged: of two statuses of one member the greater one holds. It never leads back on the way
/// that [`Self::may_become`] allows. (Pekko puts `ReadyForShutdown` above `Down`, by which a merge can revive the dead.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its join was accepted; it does not count for convergence and hosts nothing.
    Joining,
    /// Let in by the leader while the views do not converge; fit for work without state.
    WeaklyUp,
    /// A full member.
    Up,
    /// It is to stay until the whole cluster stops, and takes part in nothing new.
    PreparingForShutdown,
    /// Every member knows of the shutdown; nodes may be stopped.
    ReadyForShutdown,
    /// It wants to go and hands over.
    Leaving,
    /// The views agree that it goes; it shuts down.
    Exiting,
    /// Declared dead. There is no way back for this incarnation.
    Down,
    /// Gone; a tombstone keeps it away.
    Removed,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Joining,
        Self::WeaklyUp,
        Self::Up,
        Self::PreparingForShutdown,
        Self::ReadyForShutdown,
        Self::Leaving,
        Self::Exiting,
        Self::Down,
        Self::Removed,
    ];

    /// Whether a member may go from this status to `next` in one step.
    ///
    /// A view that misses steps may see further; what it sees is always greater than what it saw.
    pub fn may_become(self, next: Self) -> bool {
        use Status::{
            Down, Exiting, Joining, Leaving, PreparingForShutdown, ReadyForShutdown, Removed, Up,
            WeaklyUp,
        };
        match self {
            Joining => matches!(next, WeaklyUp | Up | Leaving | Down | Removed),
            WeaklyUp => matches!(next, Up | Leaving | Down | Removed),
            Up => matches!(next, PreparingForShutdown | Leaving | Down | Removed),
            PreparingForShutdown => matches!(next, ReadyForShutdown | Leaving | Down | Removed),
            ReadyForShutdown => matches!(next, Leaving | Down | Removed),
            Leaving => matches!(next, Exiting | Down | Removed),
            Exiting => matches!(next, Down | Removed),
            Down => next == Removed,
            Removed => false,
        }
    }

    /// Whether a member of this status may lead, and must have seen a picture before it counts as agreed upon.
    pub fn counts(self) -> bool {
        match self {
            Self::Up | Self::PreparingForShutdown | Self::ReadyForShutdown | Self::Leaving => true,
            Self::Joining | Self::WeaklyUp | Self::Exiting | Self::Down | Self::Removed => false,
        }
    }

    /// Whether a member of this status is as good as gone: removed as soon as it cannot be reached, and nobody waits for it.
    pub fn is_going(self) -> bool {
        matches!(self, Self::Exiting | Self::Down)
    }

    /// Whether the leader may let a member of this status up.
    pub fn waits_for_up(self) -> bool {
        matches!(self, Self::Joining | Self::WeaklyUp)
    }

    /// Whether a member of this status tells of a shutdown of the whole cluster.
    pub fn shuts_down(self) -> bool {
        matches!(self, Self::PreparingForShutdown | Self::ReadyForShutdown)
    }

    /// The name, as in files and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::WeaklyUp => "weakly-up",
            Self::Up => "up",
            Self::PreparingForShutdown => "preparing-for-shutdown",
            Self::ReadyForShutdown => "ready-for-shutdown",
            Self::Leaving => "leaving",
            Self::Exiting => "exiting",
            Self::Down => "down",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who declared a member dead.
///
/// Where two nodes did so at the same time, the lesser one stays in the merged picture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// A person, or a program in a person's stead.
    Operator,
    /// The other members, while it could not hear them: one of them told it so.
    Others,
    /// A newer incarnation that asked to join at the same address.
    NewIncarnation,
    /// The downing policy: the rule that decided, such as `keep-majority`.
    Policy(Arc<str>),
    /// A cluster of the same id that goes on in this one's place, as one of its members told: this one was formed again while that one lived.
    Rival(Address),
}

/// What a node says of itself when it joins. It does not change while the incarnation lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// Its roles; the role `dc-<data centre>` is implied and not listed.
    pub roles: BTreeSet<Arc<str>>,
    /// Its data centre.
    pub dc: Arc<str>,
    /// The version of what it runs.
    pub app_version: AppVersion,
    /// The versions of the cluster's messages that it speaks.
    pub protocol: ProtocolRange,
    /// The kinds that it hosts.
    pub kinds: BTreeSet<KindName>,
    /// Its weight in placement against other members; 1 is usual, 0 hosts nothing.
    pub capacity: u32,
    /// Free words for placement rules, such as `zone = "a"`.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// What a profile may not be. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There are too many of something.
    #[error("a node has at most {max} {what}, not {actual}")]
    TooMany {
        /// Roles, kinds or labels.
        what: &'static str,
        /// The limit.
        max: usize,
        /// How many there are.
        actual: usize,
    },
    /// A name is 1 to 128 bytes without control characters.
    #[error("a {what} is 1 to {max} bytes without control characters; {text:?} is not", max = Profile::NAME_BYTES_MAX)]
    Name {
        /// A role, a data centre or a label.
        what: &'static str,
        /// Its beginning.
        text: String,
    },
    /// The roles of data centres are implied.
    #[error("the role '{role}' says a data centre, which is set on its own")]
    DataCentreRole {
        /// The role.
        role: String,
    },
    /// It speaks nothing.
    #[error("the oldest protocol version, {lowest}, is newer than the newest, {highest}")]
    Protocol {
        /// The oldest.
        lowest: u16,
        /// The newest.
        highest: u16,
    },
}

impl Profile {
    /// What an implied role starts with.
    pub const DC_ROLE_PREFIX: &'static str = "dc-";
    /// The data centre where none is set.
    pub const DEFAULT_DC: &'static str = "default";
    /// The most roles of a node.
    pub const ROLES_MAX: usize = 64;
    /// The most kinds that a node hosts.
    pub const KINDS_MAX: usize = 4096;
    /// The most labels of a node.
    pub const LABELS_MAX: usize = 64;
    /// The longest role, data centre, label or value of a label, in bytes.
    pub const NAME_BYTES_MAX: usize = 128;

    /// A node of the default data centre without roles that hosts nothing yet.
    pub fn plain() -> Self {
        Self {
            roles: BTreeSet::new(),
            dc: Self::DEFAULT_DC.into(),
            app_version: AppVersion::default(),
            protocol: ProtocolRange::SUPPORTED,
            kinds: BTreeSet::new(),
            capacity: 1,
            labels: BTreeMap::new(),
        }
    }

    /// Holds it against the limits. Errors: every [`ProfileError`], the first that applies.
    pub fn check(&self) -> Result<(), ProfileError> {
        let limits = [
            ("roles", self.roles.len(), Self::ROLES_MAX),
            ("kinds", self.kinds.len(), Self::KINDS_MAX),
            ("labels", self.labels.len(), Self::LABELS_MAX),
        ];
        for (what, actual, max) in limits {
            if max < actual {
                return Err(ProfileError::TooMany { what, max, actual });
            }
        }
        let labels = self.labels.iter().flat_map(|(name, value)| [name, value]);
        let names = core::iter::once(("data centre", &self.dc))
            .chain(self.roles.iter().map(|role| ("role", role)))
            .chain(labels.map(|text| ("label", text)));
        for (what, text) in names {
            Self::check_name(what, text)?;
        }
        if let Some(role) = self
            .roles
            .iter()
            .find(|role| role.starts_with(Self::DC_ROLE_PREFIX))
        {
            let role = role.as_ref().into();
            return Err(ProfileError::DataCentreRole { role });
        }
        let (lowest, highest) = (self.protocol.lowest.0, self.protocol.highest.0);
        if highest < lowest {
            return Err(ProfileError::Protocol { lowest, highest });
        }
        Ok(())
    }

    /// Whether a member may have a role, implied ones included. Errors: why none may.
    pub fn check_role(role: &str) -> Result<(), ProfileError> {
        match role.strip_prefix(Self::DC_ROLE_PREFIX) {
            Some(dc) => Self::check_name("data centre", dc),
            None => Self::check_name("role", role),
        }
    }

    fn check_name(what: &'static str, text: &str) -> Result<(), ProfileError> {
        let fits = 1..=Self::NAME_BYTES_MAX;
        if !fits.contains(&text.len()) || text.chars().any(char::is_control) {
            let text = text.chars().take(64).collect();
            return Err(ProfileError::Name { what, text });
        }
        Ok(())
    }

    /// Whether it has a role, implied ones included.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
            || role.strip_prefix(Self::DC_ROLE_PREFIX) == Some(self.dc.as_ref())
    }

    /// The role that its data centre implies.
    pub fn dc_role(&self) -> Arc<str> {
        alloc::format!("{}{}", Self::DC_ROLE_PREFIX, self.dc).into()
    }
}

/// A member as one view sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// Which incarnation.
    pub node: UniqueAddress,
    /// How far it has come.
    pub status: Status,
    /// Its place in the order of age within its data centre, 1 being the oldest; none until it is up. The number of the youngest that was
    /// removed is given again.
    pub up_number: Option<u32>,
    /// Who declared it dead, if it is.
    pub downed_by: Option<Decider>,
    /// What it said of itself.
    pub profile: Arc<Profile>,
}

impl Member {
    /// A member whose join was just accepted.
    pub fn joining(node: UniqueAddress, profile: Arc<Profile>) -> Self {
        Self {
            node,
            status: Status::Joining,
            up_number: None,
            downed_by: None,
            profile,
        }
    }

    /// Its data centre.
    pub fn dc(&self) -> &Arc<str> {
        &self.profile.dc
    }

    /// Whether it has a role, implied ones included.
    pub fn has_role(&self, role: &str) -> bool {
        self.profile.has_role(role)
    }

    /// What two views of one member come to: the greater status, the lower number, the lesser decider.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        debug_assert_eq!(self.node, other.node, "two views of one member");
        let lesser = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        let deciders = self.downed_by.iter().chain(&other.downed_by);
        Self {
            node: self.node.clone(),
            status: self.status.max(other.status),
            up_number: lesser(self.up_number, other.up_number),
            downed_by: deciders.min().cloned(),
            profile: self.profile.clone(),
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.node, self.status)?;
        match self.up_number {
            Some(number) => write!(f, "({number})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_legal_steps_are_those_of_the_table() {
        use Status::{
            Down, Exiting, Joining, Leaving, PreparingForShutdown, ReadyForShutdown, Removed, Up,
            WeaklyUp,
        };
        let table: [(Status, &[Status]); 9] = [
            (Joining, &[WeaklyUp, Up, Leaving, Down, Removed]),
            (WeaklyUp, &[Up, Leaving, Down, Removed]),
            (Up, &[PreparingForShutdown, Leaving, Down, Removed]),
            (
                PreparingForShutdown,
                &[ReadyForShutdown, Leaving, Down, Removed],
            ),
            (ReadyForShutdown, &[Leaving, Down, Removed]),
            (Leaving, &[Exiting, Down, Removed]),
            (Exiting, &[Down, Removed]),
            (Down, &[Removed]),
            (Removed, &[]),
        ];
        for (from, legal) in table {
            let found: Vec<Status> = Status::ALL
                .into_iter()
                .filter(|to| from.may_become(*to))
                .collect();
            assert_eq!(found, legal, "{from}");
            assert!(legal.iter().all(|to| from < *to), "{from} leads back");
        }
    }

    fn member(status: Status, up_number: Option<u32>, downed_by: Option<Decider>) -> Member {
        Member {
            node: "a:7000#0000000000000001".parse().unwrap(),
            status,
            up_number,
            downed_by,
            profile: Profile::plain().into(),
        }
    }

    #[test]
    fn of_two_views_the_further_one_holds() {
        let policy = Decider::Policy("keep-majority".into());
        let up = member(Status::Up, Some(3), None);
        let older = member(Status::Up, Some(2), None);
        let ready = member(Status::ReadyForShutdown, Some(3), None);
        let down = member(Status::Down, None, Some(policy));
        let by_hand = member(Status::Down, Some(3), Some(Decider::Operator));
        assert_eq!(up.merge(&older), older);
        assert_eq!(up.merge(&down).status, Status::Down);
        assert_eq!(up.merge(&down).up_number, Some(3));
        assert_eq!(ready.merge(&down).status, Status::Down);
        assert_eq!(down.merge(&by_hand), by_hand);
    }

    #[test]
    fn a_data_centre_is_a_role() {
        let profile = Profile {
            roles: BTreeSet::from(["web".into()]),
            dc: "west".into(),
            ..Profile::plain()
        };
        assert!(profile.has_role("web") && profile.has_role("dc-west"));
        assert!(!profile.has_role("dc-east") && !profile.has_role("west"));
        assert_eq!(profile.dc_role().as_ref(), "dc-west");
    }

    #[test]
    fn each_limit_of_a_profile_has_its_error() {
        let error = |change: &dyn Fn(&mut Profile)| {
            let mut profile = Profile::plain();
            change(&mut profile);
            profile.check().unwrap_err()
        };
        assert_eq!(Profile::plain().check(), Ok(()));
        let many = |profile: &mut Profile| {
            let roles = (0..=Profile::ROLES_MAX).map(|n| alloc::format!("r{n}").into());
            profile.roles = roles.collect();
        };
        let too_many = ProfileError::TooMany {
            what: "roles",
            max: Profile::ROLES_MAX,
            actual: Profile::ROLES_MAX + 1,
        };
        assert_eq!(error(&many), too_many);
        let name = |what, text: &str| ProfileError::Name {
            what,
            text: text.into(),
        };
        assert_eq!(error(&|p| p.dc = "".into()), name("data centre", ""));
        assert_eq!(
            error(&|p| p.roles = ["a\n".into()].into()),
            name("role", "a\n")
        );
        let long: Arc<str> = "a".repeat(Profile::NAME_BYTES_MAX + 1).into();
        let long_label = |p: &mut Profile| p.labels = [("zone".into(), long.clone())].into();
        assert_eq!(error(&long_label), name("label", &"a".repeat(64)));
        let dc = ProfileError::DataCentreRole {
            role: "dc-x".into(),
        };
        assert_eq!(error(&|p| p.roles = ["dc-x".into()].into()), dc);
        assert!(matches!(
            error(&|p| p.protocol.lowest.0 = 9),
            ProfileError::Protocol { lowest: 9, .. }
        ));
    }
}
