//! The changes of types, each with its expected verdict.

use super::*;

/// The interfaces of a world with one export and one import.
fn world(exported: &str, imported: &str) -> Interfaces {
    versioned("1.0.0", exported, imported)
}

fn versioned(version: &str, exported: &str, imported: &str) -> Interfaces {
    let text = format!(
        "package test:shop@{version};
         interface out {{ {exported} }}
         interface in {{ {imported} }}
         world shop {{ export out; import in; }}"
    );
    Interfaces::from_wit(("test.wit", &text), &[], "shop").unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn texts(changes: &[TypeChange]) -> Vec<String> {
    let verdict = |change: &TypeChange| if change.compatible { "fine" } else { "breaks" };
    changes.iter().map(|change| format!("{}: {}: {}", verdict(change), change.item, change.change)).collect()
}

/// The old interface, the new interface, and the expected changes.
type Row = (&'static str, &'static str, &'static [&'static str]);

const SAME: &[&str] = &[];

/// The changes of an exported interface.
const EXPORTED: &[Row] = &[
    ("f: func();", "f: func();", SAME),
    ("f: func();", "f: func(); g: func();", &["fine: func g: it is new"]),
    ("f: func(); g: func();", "f: func();", &["breaks: func g: it is gone"]),
    ("f: func(a: u32);", "f: func(a: u64);", &["breaks: func f: parameter a: u32 is now u64"]),
    ("f: func(a: u32);", "f: func(b: u32);", &["fine: func f: parameter a is now called b"]),
    ("f: func(a: u32);", "f: func(a: u32, b: string);", &["breaks: func f: parameter b: string is new"]),
    ("f: func(a: u32, b: string);", "f: func(a: u32);", &["breaks: func f: parameter b: string is gone"]),
    (
        "f: func(a: u32, b: string);",
        "f: func(b: string, a: u32);",
        &["breaks: func f: the parameters have another order"],
    ),
    ("f: func() -> u32;", "f: func() -> s32;", &["breaks: func f: its result: u32 is now s32"]),
    ("f: func();", "f: func() -> u32;", &["breaks: func f: its result: nothing is now u32"]),
    ("f: func() -> u32;", "f: func();", &["breaks: func f: its result: u32 is now nothing"]),
    ("f: func();", "f: async func();", &["breaks: func f: not async is now async"]),
    (
        "record user { age: u32 } f: func(u: user);",
        "record user { age: string } f: func(u: user);",
        &["breaks: record user: field age: u32 is now string"],
    ),
    (
        "record user { age: u32 } f: func() -> list<user>;",
        "record user { age: u32, name: string } f: func() -> list<user>;",
        &["breaks: record user: field name: string is new"],
    ),
    (
        "record user { age: u32, name: string } f: func(u: user);",
        "record user { age: u32 } f: func(u: user);",
        &["breaks: record user: field name: string is gone"],
    ),
    (
        "record user { age: u32, name: string } f: func(u: user);",
        "record user { years: u32, name: string } f: func(u: user);",
        &["breaks: record user: field age is now called years"],
    ),
    (
        "record user { age: u32, name: string } f: func(u: user);",
        "record user { name: string, age: u32 } f: func(u: user);",
        &["breaks: record user: the fields have another order"],
    ),
    (
        "enum color { red } f: func() -> color;",
        "enum color { red, blue } f: func() -> color;",
        &["breaks: enum color: case blue is new"],
    ),
    (
        "enum color { red, blue } f: func(c: color);",
        "enum color { red } f: func(c: color);",
        &["breaks: enum color: case blue is gone"],
    ),
    (
        "variant shape { dot, circle(u32) } f: func(s: shape);",
        "variant shape { dot, circle(f32) } f: func(s: shape);",
        &["breaks: variant shape: case circle: u32 is now f32"],
    ),
    (
        "variant shape { dot, circle(u32) } f: func(s: shape);",
        "variant shape { dot(u8), circle(u32) } f: func(s: shape);",
        &["breaks: variant shape: case dot: nothing is now u8"],
    ),
    (
        "variant shape { dot } f: func(s: shape);",
        "variant shape { dot, line(tuple<u8, u8>) } f: func(s: shape);",
        &["breaks: variant shape: case line: tuple<u8, u8> is new"],
    ),
    (
        "flags rights { read } f: func(r: rights);",
        "flags rights { read, write } f: func(r: rights);",
        &["breaks: flags rights: flag write is new"],
    ),
    (
        "flags rights { read, write } f: func(r: rights);",
        "flags rights { write, read } f: func(r: rights);",
        &["breaks: flags rights: the flags have another order"],
    ),
    ("f: func(a: u32);", "f: func(a: option<u32>);", &["breaks: func f: parameter a: u32 is now option<u32>"]),
    (
        "f: func(a: list<option<u32>>);",
        "f: func(a: list<option<string>>);",
        &["breaks: func f: parameter a: list<option<u32>> is now list<option<string>>"],
    ),
    (
        "f: func() -> result<u32>;",
        "f: func() -> result<u32, string>;",
        &["breaks: func f: its result: result<u32, _> is now result<u32, string>"],
    ),
    (
        "f: func() -> tuple<u32, u8>;",
        "f: func() -> tuple<u32>;",
        &["breaks: func f: its result: tuple<u32, u8> is now tuple<u32>"],
    ),
    (
        "enum status { on } f: func() -> status;",
        "variant status { on } f: func() -> status;",
        &[
            "breaks: type status: enum status is now variant status",
            "breaks: func f: its result: enum status is now variant status",
        ],
    ),
    (
        "type id = u32; f: func(a: id);",
        "type id = string; f: func(a: id);",
        &["breaks: type id: u32 is now string", "breaks: func f: parameter a: u32 is now string"],
    ),
    ("type id = u32; f: func(a: id);", "f: func(a: u32);", SAME),
    (
        "record user { age: u32 } f: func(u: user);",
        "record person { age: u32 } f: func(u: person);",
        &["fine: record person: it is new", "fine: record user: it is gone"],
    ),
    ("f: func();", "record spare { age: u32 } f: func();", &["fine: record spare: it is new"]),
    (
        "record a { n: u32 } record b { a: a } f: func(x: b) -> b;",
        "record a { n: u64 } record b { a: a } f: func(x: b) -> b;",
        &["breaks: record a: field n: u32 is now u64"],
    ),
    ("resource file { size: func() -> u64; }", "resource file { size: func() -> u64; }", SAME),
    (
        "resource file { size: func() -> u64; }",
        "resource file { size: func() -> u32; }",
        &["breaks: method file.size: its result: u64 is now u32"],
    ),
    (
        "resource file { size: func() -> u64; close: static func(); }",
        "resource file { size: func() -> u64; }",
        &["breaks: static file.close: it is gone"],
    ),
    (
        "resource file; resource door; f: func(x: borrow<file>);",
        "resource file; resource door; f: func(x: borrow<door>);",
        &["breaks: func f: parameter x: borrow<file> is now borrow<door>"],
    ),
    (
        "resource file; f: func(x: borrow<file>);",
        "resource file; f: func(x: file);",
        &["breaks: func f: parameter x: borrow<file> is now file"],
    ),
];

/// The changes of an imported interface.
const IMPORTED: &[Row] = &[
    ("f: func();", "f: func(); g: func();", &["fine: func g: it is new"]),
    ("f: func(); g: func();", "f: func();", &["fine: func g: it is gone"]),
    ("f: func(a: u32);", "f: func(a: u64);", &["breaks: func f: parameter a: u32 is now u64"]),
    (
        "record user { age: u32 } f: func() -> user;",
        "record user { age: u32, name: string } f: func() -> user;",
        &["breaks: record user: field name: string is new"],
    ),
];

#[test]
fn each_change_of_a_type_has_its_verdict() {
    for (old, new, expected) in EXPORTED {
        let changes = world(new, "x: func();").against(&world(old, "x: func();"));
        assert_eq!(texts(&changes), *expected, "{old} became {new}");
        assert!(changes.iter().all(|change| change.interface == "test:shop/out@1.0.0"));
    }
    for (old, new, expected) in IMPORTED {
        let changes = world("x: func();", new).against(&world("x: func();", old));
        assert_eq!(texts(&changes), *expected, "{old} became {new}");
        assert!(changes.iter().all(|change| change.interface == "test:shop/in@1.0.0"));
    }
}

#[test]
fn only_compatible_versions_of_an_interface_are_compared() {
    let of = |version| versioned(version, "f: func();", "x: func();");
    assert_eq!(of("1.2.0").against(&of("1.0.0")), []);
    assert_eq!(of("0.2.8").against(&of("0.2.0")), []);
    for (old, new) in [("1.0.0", "2.0.0"), ("0.1.0", "0.2.0"), ("1.0.0-rc.1", "1.0.0")] {
        let expected = [
            "fine: interface: it is imported now",
            "fine: interface: it is not imported any more",
            "fine: interface: it is exported now",
            "breaks: interface: it is not exported any more",
        ];
        assert_eq!(texts(&of(new).against(&of(old))), expected, "{old} became {new}");
    }
}

#[test]
fn types_that_grow_with_every_level_are_compared_quickly() {
    let grow = |first: &str| -> String {
        let mut text = format!("record r0 {{ n: {first} }}");
        for level in 1..40 {
            text.push_str(&format!(" record r{level} {{ a: r{0}, b: r{0}, c: tuple<r{0}, r{0}> }}", level - 1));
        }
        text + " f: func(x: r39);"
    };
    let changes = world(&grow("u32"), "x: func();").against(&world(&grow("u64"), "x: func();"));
    assert_eq!(texts(&changes), ["breaks: record r0: field n: u64 is now u32"]);
}

#[test]
fn the_host_contains_all_its_interfaces() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut folders: Vec<_> = std::fs::read_dir(root.join("deps"))
        .unwrap()
        .map(|entry| format!("deps/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    folders.sort();
    let embedded: Vec<_> = HOST_WIT.iter().skip(1).map(|(name, _)| *name).collect();
    assert_eq!(embedded, folders);
    let host = HOST.as_ref().unwrap();
    assert!(host.imports().contains(&"platform:store/sql@1.0.0".to_owned()));
    assert!(host.exports().contains(&"platform:http/handler@1.0.0".to_owned()));
}

/// The packages of the host after the replacement of one text.
fn guest(from: &str, to: &str) -> Interfaces {
    let edited: Vec<_> = HOST_WIT.iter().map(|(name, text)| (*name, text.replace(from, to))).collect();
    let edited: Vec<_> = edited.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Interfaces::from_wit(edited[0], &edited[1..], "plugin").unwrap()
}

#[test]
fn an_error_names_the_field_that_differs_from_the_host() {
    assert_eq!(guest("", "").against_host().unwrap(), []);
    for (from, to, expected) in [
        (
            "email: string,",
            "email: u32,",
            "platform:http/types@1.0.0, record principal: field email is u32, but string in the host",
        ),
        (
            "email: string,",
            "email: string, age: u32,",
            "platform:http/types@1.0.0, record principal: the host does not have field age: u32",
        ),
        (
            "        amount: u64,\n",
            "",
            "platform:payments/payments@1.0.0, record money: field amount: u64, which the host has, is missing",
        ),
        (
            "time-ms: u64,",
            "time: u64,",
            "platform:messaging/types@1.0.0, record event: field time is called time-ms in the host",
        ),
        (
            "revoke: func()",
            "invent: func()",
            "platform:identity/identity@1.0.0, func invent: the host does not have it",
        ),
        ("interface identity {", "interface other { f: func(); } interface identity {", ""),
    ] {
        let changes = guest(from, to).against_host().unwrap();
        let texts: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join("; "), expected, "{from} became {to}");
        assert!(changes.iter().all(|change| !change.compatible));
    }
}

#[test]
fn an_error_names_an_interface_that_the_host_does_not_know() {
    let text = "package test:guest;
        world guest { import platform:http/extra@1.0.0; export platform:http/more@1.0.0; import wasi:any/thing; }";
    let extra = "package platform:http@1.0.0; interface extra { f: func(); } interface more { f: func(); }";
    let any = "package wasi:any; interface thing { f: func(); }";
    let guest = Interfaces::from_wit(("guest", text), &[("extra", extra), ("any", any)], "guest").unwrap();
    assert_eq!(
        texts(&guest.against_host().unwrap()),
        ["breaks: interface: this host does not offer it", "breaks: interface: this host does not call it"]
    );
}

#[test]
fn a_component_is_read_from_its_bytes() {
    let differing = wat::parse_str(
        r#"(component (import "platform:http/types@1.0.0" (instance
            (type $p (record (field "id" string) (field "email" u32)))
            (export "principal" (type (eq $p))))))"#,
    )
    .unwrap();
    let refused = Interfaces::read_and_check(&differing).err().unwrap().to_string();
    assert!(refused.contains("record principal: field email is u32, but string in the host"), "{refused}");
    let refused = Interfaces::read(&differing[..differing.len() - 1]).err().unwrap().to_string();
    assert!(refused.starts_with("the component's interfaces cannot be read"), "{refused}");
}
