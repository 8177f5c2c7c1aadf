//! A member that forms a cluster of its own and hears whatever it is told. For the property beside it and for the fuzz target.

use std::time::Duration;

use granary_core::id::Time;
use granary_core::membership::Membership;
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::inputs::Event;
use granary_core::membership::member::{AppVersion, Profile};
use granary_core::membership::message::{Envelope, GossipMessage, Message};
use granary_core::membership::protocol::ProtocolRange;
use granary_core::membership::settings::Settings;
use granary_core::membership::wire;

/// A member and its clock.
pub(crate) struct Member {
    machine: Membership,
    this: UniqueAddress,
    now: Time,
}

impl Member {
    /// The only member of a new cluster.
    pub(crate) fn alone() -> Self {
        let address: Address = "m:7000".parse().expect("an address");
        let this = UniqueAddress::new(address.clone(), 1);
        let profile = Profile {
            roles: ["web".into()].into(),
            dc: "default".into(),
            app_version: AppVersion::default(),
            protocol: ProtocolRange::SUPPORTED,
            kinds: [].into(),
            capacity: 1,
            labels: [].into(),
        };
        let settings = Settings::default();
        let machine = Membership::new(settings, this.clone(), profile, None, 7, Time(0));
        let machine = machine.expect("the usual settings");
        let mut member = Self {
            machine,
            this,
            now: Time(0),
        };
        let contact_points = vec![address];
        member.handle(Event::Start { contact_points });
        member.pass(Duration::from_secs(60));
        assert_eq!(
            member.machine.state().members.len(),
            1,
            "it forms a cluster"
        );
        member
    }

    /// Hears a message as if it were meant for it.
    pub(crate) fn hear(&mut self, envelope: Envelope) {
        let envelope = Envelope {
            to: envelope.to.map(|_| self.this.uid),
            cluster: envelope.cluster.and_then(|_| self.machine.cluster()),
            ..envelope
        };
        let (from, arrived) = (envelope.from.address.clone(), self.now);
        self.handle(Event::Received {
            from,
            arrived,
            envelope,
        });
    }

    /// Lets time pass, with all that the member does by itself.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.after(time);
        while let Some(wake) = self.machine.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.handle(Event::Wake);
        }
        self.now = until;
    }

    /// Its picture is one that any other member would take.
    pub(crate) fn check(&self) {
        let gossip = self.machine.gossip().clone();
        let time_to_live = Duration::from_secs(2);
        let told = Envelope {
            from: self.this.clone(),
            to: Some(2),
            cluster: self.machine.cluster(),
            version: ProtocolRange::SUPPORTED.highest,
            message: Message::Gossip(GossipMessage {
                gossip,
                time_to_live,
            }),
        };
        let bytes = wire::encode(&told).expect("its picture can be told");
        assert_eq!(wire::decode(&bytes).as_ref(), Ok(&told));
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.machine.handle(self.now, event, &mut effects);
    }
}
