//! Attacks the host on demand. It has a route for each attack, executes the
//! caller's statements, and fails at events and timers as their payload says.

mod answers;
mod attacks;
mod effects;
mod statements;

use ticketing_sdk::Router;

const ROUTES: Router = Router::new(&[
    ("GET", "/hostile/{attack}", attacks::attack),
    ("POST", "/hostile/{attack}", answers::follow),
    ("POST", "/hostile/half", attacks::half),
    ("GET", "/hostile/applied/{id}", effects::applied),
    ("POST", "/hostile/sql", statements::run),
    ("POST", "/hostile/publish", effects::publish),
    ("POST", "/hostile/timers", effects::schedule),
    ("POST", "/hostile/moods", effects::set_mood),
]);

ticketing_sdk::component! {
    http: ROUTES,
    messaging: effects::on_event,
    timers: effects::on_timer,
}
