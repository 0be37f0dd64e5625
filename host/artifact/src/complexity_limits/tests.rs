use super::*;
use host_test_support::wasm::{module, number, sized};
use wasmparser::Parser;

fn refusal(bytes: &[u8]) -> String {
    let mut counter = ComplexityCounter::default();
    Parser::new(0)
        .parse_all(bytes)
        .find_map(|payload| counter.count(&payload.unwrap()).err())
        .expect("a refusal")
        .to_string()
}

fn component(inside: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {inside})")).unwrap()
}

#[test]
fn a_file_over_a_limit_is_refused_with_the_name_of_the_limit() {
    let deep = format!("{}{}", "(component ".repeat(17), ")".repeat(17));
    assert!(refusal(&component(&deep)).contains("more than 16 levels"));
    assert!(refusal(&component(&"(core module)".repeat(501))).contains("500 components and modules"));
    assert!(refusal(&component(&"(@custom \"x\" \"\")".repeat(1_001))).contains("1000 custom sections"));
    let record: String = (0..8_000).map(|i| format!("(field \"field-{i}\" (list u8))")).collect();
    assert!(refusal(&component(&format!("(type (record {record}))").repeat(10))).contains("bytes of component types"));
    let elements = [&[1, 0][..], &number(2_000_001), &[0; 2_000_001]].concat();
    for (section, expected) in [
        ((1, 100_001, &[0x60, 0, 0][..]), "100000 core types"),
        ((2, 50_001, &[1, b'a', 1, b'b', 0, 0]), "50000 imports"),
        ((3, 200_001, &[0]), "200000 functions"),
        ((4, 1_001, &[0x70, 0, 0]), "1000 tables"),
        ((5, 101, &[0, 0]), "100 memories"),
        ((6, 100_001, &[0x7f, 0, 0x41, 0, 0x0b]), "100000 globals"),
        ((7, 100_001, &[1, b'a', 0, 0]), "100000 exports"),
        ((9, 1, &elements), "2000000 table elements"),
        ((11, 50_001, &[1, 0]), "50000 data segments"),
    ] {
        let refused = refusal(&module(&[section]));
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn functions_that_take_long_to_compile_are_refused() {
    let long = sized(&[&[0][..], &vec![1; 2 << 20], &[0x0b]].concat());
    assert!(refusal(&module(&[(3, 1, &[0]), (10, 1, &long)])).contains("bytes in one function"));
    let locals = sized(&[&[1][..], &number(50_000), &[0x7f, 0x0b]].concat());
    let refused = refusal(&module(&[(3, 101, &[0]), (10, 101, &locals)]));
    assert!(refused.contains("5000000 local variables"), "{refused}");
}
