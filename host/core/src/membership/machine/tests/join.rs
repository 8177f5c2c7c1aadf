//! The way in.

use super::world::{World, all, statuses};
use crate::membership::member::Status;
use crate::membership::settings::Settings;

#[test]
fn five_nodes_become_one_cluster() {
    let hosts = ["a", "b", "c", "d", "e"];
    let mut world = World::of(&hosts, &["a", "b"], &Settings::default());
    world.run_until(20_000);
    for host in hosts {
        assert_eq!(statuses(&world, host), all(&hosts, Status::Up), "{host}");
    }
    assert!(world.is_converged());
}
