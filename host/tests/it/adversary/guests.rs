//! Components that are made for one attack.

use crate::support::PluginFile;

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
    let text = format!(
        "(component (core module $slow (func $start (local $left i64) (local.set $left (i64.const {count}))
            (loop (br_if 0 (i64.ne (i64.const 0) (local.tee $left (i64.sub (local.get $left) (i64.const 1)))))))
            (start $start)))"
    );
    let slow = wat::parse_str(text).unwrap();
    let sections = sections(&slow);
    let (_, module) = sections.iter().find(|(id, _)| *id == CORE_MODULE).unwrap();
    let index = self::sections(component).iter().filter(|(id, _)| *id == CORE_MODULE).count();
    let mut bytes = component.to_vec();
    bytes.extend(section(CORE_MODULE, module));
    // One instance of that module, without arguments.
    bytes.extend(section(CORE_INSTANCE, &[&[1, 0][..], &number(index), &[0]].concat()));
    bytes
}

const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;

/// The sections of a component: their ids and contents.
fn sections(component: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = &component[8..];
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (mut length, mut shift, mut bytes) = (0_usize, 0, after);
        loop {
            let (byte, after) = bytes.split_first().unwrap();
            length |= usize::from(byte & 0x7f) << shift;
            (shift, bytes) = (shift + 7, after);
            if byte & 0x80 == 0 {
                break;
            }
        }
        sections.push((*id, &bytes[..length]));
        rest = &bytes[length..];
    }
    sections
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &number(content.len()), content].concat()
}

fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
