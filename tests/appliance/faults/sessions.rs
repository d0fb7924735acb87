//! Sessions: SoftHSM has no bound on them, so they cannot be used up; the token says so itself.

use super::scene::Scene;

/// `CK_EFFECTIVELY_INFINITE`, in `ulMaxSessionCount`.
const NO_BOUND: u64 = 0;

#[test]
fn more_clients_than_any_pool_of_sessions_and_a_token_without_a_bound() {
    let mut scene = Scene::new("sessions (SoftHSM has no bound; 24 clients at once)");
    scene.with_many_clients(24, |turn| {
        turn.clients.certificates(10 * 24);
    });
    if let Some(spy) = &scene.spy {
        let bounds = spy.session_bounds();
        assert!(!bounds.is_empty() && bounds.iter().all(|bound| *bound == NO_BOUND), "{bounds:?}");
    }
    scene.judge();
}
