//! The annotation that tells what containers can reach.

use super::*;

#[test]
fn what_is_not_known_anew_stays() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}));
    let check = |world: &World, known: &str, expect: &str| {
        assert_eq!(
            capabilities(&world.pod, &world.state, known),
            expect,
            "{known}"
        );
    };
    check(&world, "", "");
    check(&world, "gone=stdio;b=sockets", "b=sockets");
    world.sandbox();
    world.started("i");
    world.exited("i", 0);
    world.started("a");
    // A runtime that tells nothing changes nothing.
    check(&world, "a=clocks", "a=clocks");
    for (name, told) in [("i", ""), ("a", "stdio,sockets")] {
        let track = world.state.containers.get_mut(name).unwrap();
        track.instance.as_mut().unwrap().capabilities = Some(told.into());
    }
    check(
        &world,
        "a=clocks;b=random",
        "i=none;a=stdio,sockets;b=random",
    );
    check(&world, "not a list", "i=none;a=stdio,sockets");
}
