use super::*;
use std::fs;
use tempfile::TempDir;

/// A folder with the files that the entries of these tests name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hello.wasm"), "no component").unwrap();
    fs::write(folder.path().join("key.txt"), "s3cret\n").unwrap();
    folder
}

fn read(text: &str) -> Result<Vec<Wanted>, Failure> {
    let folder = folder();
    let file = folder.path().join("plugins.toml");
    fs::write(&file, text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Desired::read(&file)).map(|desired| desired.plugins)
}

fn problem(entry: &str) -> String {
    let failure = read(&format!("[[plugin]]\n{entry}\n")).unwrap_err();
    assert_eq!(failure.code(), 2, "{failure}");
    failure.to_string()
}

#[test]
fn an_entry_has_all_parts() {
    let digest = hex::encode(Sha256::digest("no component"));
    let plugins = read(&format!(
        r#"
        [[plugin]]
        name = "hello"
        file = "hello.wasm"
        sha256 = "{}"
        settings = {{ greeting = "Hi", size = 3, loud = true, api-key = {{ file = "key.txt" }} }}
        limits = {{ memory_mib = 32 }}
        policy = {{ grants = ["store"], visitor = true, quotas = {{ timers = 5 }} }}
        canary = {{ percent = 10, promote_after_seconds = 600 }}
        paused = true

        [[plugin]]
        name = "old"
        absent = true
        "#,
        digest.to_uppercase()
    ));
    let plugins = plugins.unwrap();
    let hello = &plugins[0];
    assert_eq!(hello.content.as_ref().unwrap().digest, digest);
    assert_eq!(hello.limits, Some(BTreeMap::from([("memory_mib".to_owned(), 32)])));
    assert_eq!(hello.canary, Some(Canary { percent: 10, promote_after_seconds: Some(600) }));
    assert_eq!((hello.paused, hello.absent), (Some(true), false));
    assert!(hello.policy.as_ref().unwrap().visitor);
    let text = |key: &str| match &hello.settings.as_ref().unwrap()[key] {
        Setting::Text(text) => text.clone(),
        Setting::Secret(secret) => format!("secret {}", secret.expose()),
    };
    assert_eq!(["greeting", "size", "loud", "api-key"].map(text), ["Hi", "3", "true", "secret s3cret"]);
    assert!(!format!("{hello:?}").contains("s3cret"));
    assert!(plugins[1].absent && plugins[1].content.is_none());
}

#[test]
fn parts_that_are_not_named_stay_as_they_are() {
    let plugins = read("[[plugin]]\nname = \"hello\"\npaused = false").unwrap();
    let Wanted { policy, content, limits, settings, canary, paused, .. } = &plugins[0];
    assert!(policy.is_none() && content.is_none() && limits.is_none() && settings.is_none() && canary.is_none());
    assert_eq!(*paused, Some(false));
    let empty = read("[[plugin]]\nname = \"hello\"\nlimits = {}\nsettings = {}").unwrap();
    assert!(empty[0].limits.as_ref().unwrap().is_empty() && empty[0].settings.as_ref().unwrap().is_empty());
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_those_that_exist() {
    let unknown = problem("name = \"hello\"\nsetings = {}");
    assert!(
        unknown.contains("plugins.toml: line 3: unknown field `setings`, expected one of `name`, `file`"),
        "{unknown}"
    );
    for entry in ["limits = { memory = 1 }", "policy = { grant = [] }", "file = \"hello.wasm\"\ncanary = { share = 1 }"]
    {
        let unknown = problem(&format!("name = \"hello\"\n{entry}"));
        assert!(unknown.contains("unknown field") && unknown.contains("expected"), "{unknown}");
    }
    let unknown = read("[[plugins]]\nname = \"hello\"").unwrap_err().to_string();
    assert!(unknown.contains("unknown field `plugins`, expected `plugin`"), "{unknown}");
}

#[test]
fn a_wrong_entry_says_what_to_do() {
    let file = "file = \"hello.wasm\"";
    for (entry, expected) in [
        ("name = \"Hello\"\nabsent = true", "no plugin can have this name"),
        ("name = \"hello\"", "the entry says nothing; add `file"),
        ("name = \"hello\"\nabsent = true\npaused = true", "remove the other keys"),
        ("name = \"hello\"\nsha256 = \"00\"", "sha256 needs `file"),
        ("name = \"hello\"\ncanary = { percent = 10 }", "canary needs `file"),
        (&format!("name = \"hello\"\n{file}\ncanary = {{ percent = 0 }}"), "must be 1 to 99"),
        (&format!("name = \"hello\"\n{file}\ncanary = {{ percent = 1, promote_after_seconds = 0 }}"), "1 to 2592000"),
        (&format!("name = \"hello\"\n{file}\nsha256 = \"00\""), "and sha256 is 00; take the file that you mean"),
        ("name = \"hello\"\nfile = \"none.wasm\"", "none.wasm: No such file"),
        ("name = \"hello\"\nfile = \"oci://hello:1\"", "names no registry"),
        ("name = \"hello\"\nfile = \"oci://ghcr.io/me/hello:1\"", "may change; name the digest"),
        ("name = \"hello\"\nsettings = { a = [1] }", "settings.a: must be a text"),
        ("name = \"hello\"\nsettings = { a = { file = \"none\" } }", "settings.a: "),
        ("name = \"hello\"\npolicy = { grants = [\"sky\"] }", "unknown variant `sky`"),
        ("name = \"hello\"\npaused = 1", "line 3: invalid type"),
        ("file = \"hello.wasm\"", "missing field `name`"),
        ("name = \"a\"\npaused = true\n[[plugin]]\nname = \"a\"\npaused = false", "a: it has two entries"),
    ] {
        let problem = problem(entry);
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
    assert!(read("").unwrap_err().to_string().contains("it names no plugin; add a table [[plugin]]"));
}

#[test]
fn the_files_of_a_file_are_known_without_reading_them() {
    let folder = folder();
    let file = folder.path().join("plugins.toml");
    fs::write(&file, "[[plugin]]\nname = \"a\"\nfile = \"sub/a.wasm\"\nsettings = { key = { file = \"key\" } }")
        .unwrap();
    let names = ["key", "plugins.toml", "sub/a.wasm"].map(|name| folder.path().join(name));
    assert_eq!(files_of(&file), BTreeSet::from(names));
    fs::write(&file, "[[plugin]]\nname = \"a\"\nfile = \"oci://ghcr.io/me/a:1\"").unwrap();
    assert_eq!(files_of(&file), BTreeSet::from([file.clone()]), "a registry has no file to watch");
    fs::write(&file, "broken").unwrap();
    assert_eq!(files_of(&file), BTreeSet::from([file]));
}
