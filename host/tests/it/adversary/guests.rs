//! Components that are made for one attack.

use crate::support::PluginFile;
use host_test_support::wasm::{number, section};
use wasmparser::{Parser, Payload};

/// A component that takes the compiler long: each local variable lives through
/// each of the nested loops.
pub(super) fn compiler_bomb(name: &str, locals: usize, loops: usize) -> Vec<u8> {
    let declared = "i64 ".repeat(locals);
    let begin = "(loop ".repeat(loops);
    let work: String =
        (0..locals).map(|local| format!("(local.set {local} (i64.add (local.get {local}) (i64.const 1)))")).collect();
    let end = "(br_if 0 (i64.eqz (local.get 0))))".repeat(loops);
    let module = format!("(core module (func (export \"f\") (local {declared}) {begin} {work} {end}))");
    plugin(name, &wat::parse_str(format!("(component {module})")).unwrap())
}

/// A component that takes the compiler much memory: each of the targets of one
/// jump gets the values of all local variables.
pub(super) fn memory_bomb(name: &str, locals: usize, targets: usize) -> Vec<u8> {
    let declared = "i64 ".repeat(locals);
    let work: String =
        (0..locals).map(|local| format!("(local.set {local} (i64.add (local.get {local}) (i64.const 1)))")).collect();
    let jump = format!("(br_table {} (i32.wrap_i64 (local.get 0)))", "0 ".repeat(targets));
    let module = format!("(core module (func (export \"f\") (local {declared}) (loop {work} {jump})))");
    plugin(name, &wat::parse_str(format!("(component {module})")).unwrap())
}

/// A component with this many functions that each take the compiler a moment.
pub(super) fn many_functions(name: &str, functions: usize) -> Vec<u8> {
    let one = format!(
        "(func (local {}) {} {})",
        "f64 ".repeat(50),
        "(loop ".repeat(20),
        "(br_if 0 (i32.const 1)))".repeat(20)
    );
    plugin(name, &wat::parse_str(format!("(component (core module {}))", one.repeat(functions))).unwrap())
}

fn plugin(name: &str, component: &[u8]) -> Vec<u8> {
    PluginFile::of(component.to_vec(), &format!("name = {name:?}\nversion = \"1.0.0\"")).bytes()
}

/// Adds a start function to a component: it counts to this number whenever the
/// component is instantiated.
pub(super) fn with_slow_start(component: &[u8], count: u64) -> Vec<u8> {
    let module = format!(
        "(module (func $start (local $left i64) (local.set $left (i64.const {count}))
            (loop (br_if 0 (i64.ne (i64.const 0) (local.tee $left (i64.sub (local.get $left) (i64.const 1)))))))
            (start $start))"
    );
    with_module(component, &module)
}

/// Adds a core module and one instance of it to a component.
pub(crate) fn with_module(component: &[u8], module: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.extend(section(CORE_MODULE, &wat::parse_str(module).unwrap()));
    // One instance of that module, without arguments.
    bytes.extend(section(CORE_INSTANCE, &[&[1, 0][..], &number(own_modules(component)), &[0]].concat()));
    bytes
}

const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;

/// The number of core modules of a component, without those of the components
/// inside it.
fn own_modules(component: &[u8]) -> usize {
    let (mut modules, mut depth) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => {
                modules += usize::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    modules
}
