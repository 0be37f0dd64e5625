//! Does everything that a component must not get away with, when it is asked
//! to: a route for each attack, statements as they come, and events and timers
//! that fail the way their payload says.

mod attacks;
mod effects;
mod statements;

use ticketing_sdk::Router;

const ROUTES: Router = Router::new(&[
    ("GET", "/hostile/{attack}", attacks::attack),
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
