//! A component of the platform that uses WASI on demand, and attacks the host by it.
#![expect(unsafe_code, reason = "the generated bindings need it")]

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../../wit", "../../wit/p2", "wit"],
        world: "test:wasi/component",
        generate_all,
    });
}

use bindings::{
    exports::platform::handlers::request_handler::{Guest, Request, Response},
    wasi::{
        cli::{environment, exit, stdout},
        clocks0_2_10::monotonic_clock,
        filesystem::preopens,
        random::random,
    },
};

struct Component;

impl Guest for Component {
    fn handle(request: Request) -> Response {
        let what = request.params.first().map_or("", |(_, what)| what);
        let told = match what {
            "surroundings" => surroundings(),
            "clock" => clock(),
            "random" => random::get_random_bytes(16).iter().map(|byte| format!("{byte:02x}")).collect(),
            "output" => output(),
            "last-words" => last_words(),
            "sleep" => sleep(),
            "exit" => exit_with(Err(())),
            "exit-well" => exit_with(Ok(())),
            "much-randomness" => random::get_random_bytes(64 << 20).len().to_string(),
            "calls" => calls(),
            "handles" => handles(),
            _ => "wasi-one".to_owned(),
        };
        Response { status: 200, headers: Vec::new(), body: told.into_bytes() }
    }
}

/// The environment, the arguments and the folders.
fn surroundings() -> String {
    let folders = preopens::get_directories().len();
    format!("{:?} {:?} {folders}", environment::get_environment(), environment::get_arguments())
}

/// The milliseconds that a wait of 50 ms takes.
fn clock() -> String {
    let begun = monotonic_clock::now();
    monotonic_clock::subscribe_duration(50_000_000).block();
    ((monotonic_clock::now() - begun) / 1_000_000).to_string()
}

/// Writes more lines than the log takes, and parts of a line that imitates one of the host.
fn output() -> String {
    let stdout = stdout::get_stdout();
    let _ = stdout.blocking_write_and_flush(b"a line in \x1b[31mtwo ");
    let _ = stdout.blocking_write_and_flush(b"parts\n");
    for line in 0..2_000 {
        let _ = stdout.blocking_write_and_flush(format!("line {line}\n").as_bytes());
    }
    "written".to_owned()
}

/// Writes without waiting, and ends.
fn last_words() -> String {
    let stdout = stdout::get_stdout();
    let _ = stdout.check_write();
    let _ = stdout.write(b"the last words\n");
    std::process::abort()
}

fn sleep() -> String {
    monotonic_clock::subscribe_duration(3_600_000_000_000).block();
    "slept".to_owned()
}

fn exit_with(status: Result<(), ()>) -> String {
    exit::exit(status);
    "still here".to_owned()
}

/// Calls the host without an end.
fn calls() -> String {
    loop {
        std::hint::black_box(random::get_random_bytes(1));
    }
}

/// Keeps more handles than an instance may have.
fn handles() -> String {
    let handles: Vec<_> = (0..20_000).map(|_| monotonic_clock::subscribe_duration(1)).collect();
    handles.len().to_string()
}

bindings::export!(Component with_types_in bindings);
