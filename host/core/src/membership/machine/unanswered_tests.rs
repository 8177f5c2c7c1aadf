//! §2.6: a way in that is not answered: what is asked again, and of whom, and what the log says.

use alloc::vec::Vec;

use super::join_tests::{asking, handshake, searching, welcome};
use super::shown_tests::shown;
use super::world_tests::{CLUSTER, address, at, from, node, start, step};
use crate::membership::inputs::{Command, CommandId, Event};
use crate::membership::machine::Membership;
use crate::membership::member::Profile;
use crate::membership::message::{Beat, KnownCluster, Message};
use crate::membership::settings::Settings;

#[test]
fn a_search_that_leads_nowhere_says_so() {
    let mut x = searching(Settings::default(), Some(CLUSTER));
    let mut said = Vec::new();
    for second in 1..60 {
        let told = shown(&step(&mut x, 1000 * second, Event::Wake));
        said.extend(told.into_iter().filter(|line| line.starts_with("log")));
    }
    let why = "log join-failed: no contact point has let it in yet; it is not one of its own contact points, so it forms no cluster; to form one here all the same, tell this node to join x:7000, which is itself";
    assert_eq!(said, [why, why]);
}

#[test]
fn who_waits_for_members_that_are_lost_for_good_says_so_and_forms_the_cluster_again_when_told() {
    let members = ["a", "b", "c"].map(address).into();
    let id = CLUSTER;
    let kept = Some(KnownCluster { id, members });
    let settings = Settings::default();
    let mut a = Membership::new(settings, node("a"), Profile::plain(), kept, 1, at(0)).unwrap();
    step(&mut a, 0, start(&["a"]));
    let mut said = Vec::new();
    for second in 1..40 {
        let told = shown(&step(&mut a, 1000 * second, Event::Wake));
        said.extend(told.into_iter().filter(|line| line.starts_with("log")));
    }
    let why = "log join-failed: no contact point has let it in yet; it once belonged to a cluster, and forms it again only when more than half of its last 3 members say that they are alone; these do not: b:7000, c:7000; if they are lost for good, tell this node to join a:7000, which is itself";
    assert_eq!(said, [why]);
    let command = Command::Join {
        address: address("a"),
    };
    let id = CommandId(1);
    let formed = shown(&step(&mut a, 40_000, Event::Command { id, command }));
    assert!(formed.contains(&"log cluster-formed".into()), "{formed:?}");
    assert_eq!(a.cluster(), Some(CLUSTER));
}

#[test]
fn an_unanswered_join_is_tried_again_from_the_beginning() {
    let mut x = asking();
    // Until then it is repeated at ever longer distances: one of two messages that were lost would cost all that time.
    for (millis, next) in [(1000, 3000), (3000, 7000), (7000, 10_000)] {
        assert_eq!(x.next_wake(), Some(at(millis)));
        assert_eq!(shown(&step(&mut x, millis, Event::Wake)), ["to a?: join"]);
        assert_eq!(x.next_wake(), Some(at(next)));
    }
    assert_eq!(
        shown(&step(&mut x, 10_000, Event::Wake)),
        ["to a?: init-join", "to b?: init-join"]
    );
}

#[test]
fn a_node_that_is_spoken_to_as_a_member_asks_again_for_its_welcome() {
    let mut x = asking();
    let beat = |millis| {
        let sent = at(0);
        from("b", millis, Message::Heartbeat(Beat { seq: 1, sent }))
    };
    let rejected = |count| alloc::format!("log rejected heartbeat from b: Unexpected {count}");
    assert_eq!(shown(&step(&mut x, 500, beat(500))), [rejected(1)]);
    assert_eq!(
        shown(&step(&mut x, 1000, beat(1000))),
        ["to b: join".into(), rejected(2)]
    );
    assert_eq!(step(&mut x, 1500, beat(1500)), []);
    // Whom it asked may be out of reach; any member can send the welcome again.
    let again = welcome("a b x:j");
    step(&mut x, 1600, handshake("b", Some(CLUSTER), again));
    assert!(x.gossip().has(&node("x")));
}
