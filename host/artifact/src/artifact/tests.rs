use super::*;

fn refusal(bytes: Vec<u8>) -> String {
    Artifact::parse(bytes, None).err().expect("a refusal").to_string()
}

fn component(sections: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {sections})")).unwrap()
}

#[test]
fn a_refusal_says_why_the_file_is_not_a_plugin() {
    assert!(refusal(b"GIF89a".to_vec()).contains("not WebAssembly"));
    assert!(refusal(wat::parse_str("(module)").unwrap()).contains("core module"));
    assert!(refusal(component("")).contains("carries no manifest"));
    let whole = component("(core module (func (export \"f\")))");
    assert!(refusal(whole[..whole.len() - 3].to_vec()).contains("not valid"));
    assert!(refusal(vec![0; MAX_ARTIFACT_BYTES + 1]).contains("more than"));
}

#[test]
fn the_section_of_a_nested_module_is_not_the_manifest() {
    let nested = component("(core module (@custom \"platform:manifest\" \"name = 'x'\"))");
    assert!(refusal(nested).contains("carries no manifest"));
}

fn custom(name: &str, text: &str) -> String {
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(@custom {name:?} \"{escaped}\")")
}

fn manifest() -> String {
    custom(MANIFEST_SECTION, "name = 'x'\nversion = '1.0.0'")
}

fn migrations_refusal(json: &str) -> String {
    refusal(component(&format!("{} {}", manifest(), custom(MIGRATIONS_SECTION, json))))
}

#[test]
fn the_sections_are_read() {
    let json = r#"[{"name":"b","sql":"DROP TABLE t"},{"name":"a","sql":"CREATE TABLE t (a TEXT)"}]"#;
    let bytes = component(&format!("{} {}", manifest(), custom(MIGRATIONS_SECTION, json)));
    let artifact = Artifact::parse(bytes, None).unwrap();
    assert_eq!(artifact.manifest.name, "x");
    assert_eq!(artifact.migrations.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(artifact.digest.len(), 64);
}

#[test]
fn a_separate_manifest_replaces_the_one_in_the_file() {
    let separate = "name = 'y'\nversion = '2.0.0'";
    for inside in [manifest(), String::new(), custom(MANIFEST_SECTION, "nonsense")] {
        let artifact = Artifact::parse(component(&inside), Some(separate)).unwrap();
        assert_eq!(artifact.manifest.name, "y");
    }
    let long = "#".repeat(MAX_MANIFEST_BYTES + 1);
    let refused = Artifact::parse(component(""), Some(&long)).err().unwrap().to_string();
    assert!(refused.contains("more than the 262144"), "{refused}");
}

#[test]
fn a_section_that_is_ambiguous_or_too_long_is_refused() {
    assert!(refusal(component(&manifest().repeat(2))).contains("platform:manifest twice"));
    let two = custom(MIGRATIONS_SECTION, "[]").repeat(2);
    assert!(refusal(component(&format!("{}{two}", manifest()))).contains("platform:migrations twice"));
    assert!(refusal(component("(@custom \"platform:manifest\" \"\\ff\")")).contains("not UTF-8"));
    let long = custom(MANIFEST_SECTION, &"#".repeat(MAX_MANIFEST_BYTES + 1));
    assert!(refusal(component(&long)).contains("platform:manifest has 262145 bytes"));
    let long = " ".repeat(MAX_MIGRATIONS_BYTES + 1);
    assert!(migrations_refusal(&long).contains("platform:migrations has 4194305 bytes"));
}

#[test]
fn migrations_have_valid_and_different_names() {
    let many: Vec<_> = (0..=MAX_MIGRATIONS).map(|i| format!(r#"{{"name":"{i}","sql":""}}"#)).collect();
    assert!(migrations_refusal(&format!("[{}]", many.join(","))).contains("has 1001 migrations"));
    let twice = r#"[{"name":"a","sql":"1"},{"name":"a","sql":"2"}]"#;
    assert!(migrations_refusal(twice).contains("the migration a twice"));
    assert!(migrations_refusal(r#"[{"name":"","sql":""}]"#).contains("names a migration \"\""));
    assert!(migrations_refusal(r#"[{"name":"a\u0000","sql":""}]"#).contains("visible ASCII"));
    assert!(migrations_refusal(r#"[{"name":"a","sql":"","more":1}]"#).contains("unknown field `more`"));
    assert!(migrations_refusal("[[").contains("not valid"));
    let statement = r#"[{"name":"a","sql":"ATTACH 'x' AS y"}]"#;
    let refused = migrations_refusal(statement);
    assert!(refused.contains("migration a: ATTACH is not allowed here"), "{refused}");
}
