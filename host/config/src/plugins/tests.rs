use super::*;

fn declared() -> BTreeMap<String, ConfigKey> {
    toml::from_str(
        "retry-seconds = { type = 'integer', default = 60, min = 1, max = 100 }
         greeting = { type = 'string' }",
    )
    .unwrap()
}

fn plugins(file: &str, set: &[&str], environment: &[(&str, &str)]) -> PluginsConfig {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    PluginsConfig::try_from(RawPluginsConfig {
        file: "test.toml".to_owned(),
        overrides: toml::from_str(file).unwrap(),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        environment: environment.iter().map(owned).collect(),
        ..RawPluginsConfig::default()
    })
    .unwrap()
}

/// The value, and who decided it.
fn retry_seconds(plugins: &PluginsConfig, operator: Option<&str>) -> (String, ValueSource) {
    let set = operator.map(|value| ("retry-seconds".to_owned(), value.to_owned())).into_iter().collect();
    let Setting { value, source, .. } =
        plugins.settings_with("mailer", &declared(), &set).unwrap()["retry-seconds"].clone();
    (value, source)
}

#[test]
fn an_operator_beats_a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = "mailer.config.retry-seconds = 5";
    let variable = ("TICKETING_RETRY_SECONDS", "6");
    let is = |value: &str, source| (value.to_owned(), source);
    assert_eq!(retry_seconds(&plugins("", &[], &[]), None), is("60", ValueSource::Manifest));
    assert_eq!(retry_seconds(&plugins(file, &[], &[]), None), is("5", ValueSource::File));
    assert_eq!(retry_seconds(&plugins(file, &[], &[variable]), None), is("6", ValueSource::Environment));
    let flag = "mailer.retry-seconds=7";
    assert_eq!(retry_seconds(&plugins(file, &[flag], &[variable]), None), is("7", ValueSource::Flag));
    assert_eq!(retry_seconds(&plugins(file, &[flag], &[variable]), Some("8")), is("8", ValueSource::Operator));
}

#[test]
fn a_key_without_a_default_is_absent_until_it_is_set() {
    let unset = plugins("", &[], &[]).settings("mailer", &declared()).unwrap();
    assert!(!unset.contains_key("greeting"));
    let set = plugins("", &["mailer.greeting=a=b.c"], &[]);
    assert_eq!(set.settings("mailer", &declared()).unwrap()["greeting"].value, "a=b.c");
}

#[test]
fn a_wrong_value_names_its_source() {
    let problem = |plugins: PluginsConfig| plugins.settings("mailer", &declared()).unwrap_err().to_string();
    let file = problem(plugins("mailer.config.retry-seconds = 'x'", &[], &[]));
    assert!(file.starts_with("test.toml (plugins.mailer.config.retry-seconds): "), "{file}");
    let variable = problem(plugins("", &[], &[("TICKETING_RETRY_SECONDS", "soon")]));
    assert_eq!(variable, "TICKETING_RETRY_SECONDS: `soon` is not an integer");
    let flag = problem(plugins("", &["mailer.retry-seconds=101"], &[]));
    assert_eq!(flag, "--set mailer.retry-seconds: 101 is above the most, 100");
}

#[test]
fn everything_that_nobody_declares_is_named() {
    let declared = declared();
    let plugins = plugins(
        "mailer.config.colour = 'red'\nghost.limits.memory_mib = 1",
        &["mailer.retry-second=1", "phantom.key=1"],
        &[("TICKETING_LISSTEN", "x"), ("TICKETING_GREETING", "hi")],
    );
    let error = plugins.check_all_used([("mailer", &declared)]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.problems().len(), 5, "{text}");
    for name in [
        "--set mailer.retry-second: ",
        "--set phantom.key: ",
        "TICKETING_LISSTEN: ",
        "(plugins.ghost): ",
        "(plugins.mailer.config.colour): ",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[test]
fn declared_settings_are_accepted() {
    let declared = declared();
    let plugins = plugins("mailer.limits.memory_mib = 8", &["mailer.greeting=hi"], &[("TICKETING_RETRY_SECONDS", "5")]);
    plugins.check_all_used([("mailer", &declared)]).unwrap();
    assert_eq!(plugins.limits("mailer").memory_mib, Some(8));
    assert_eq!(plugins.limits("other"), LimitOverrides::default());
}

#[test]
fn an_assignment_without_a_plugin_is_refused() {
    for assignment in ["key=1", "mailer.key", ".key=1", "mailer.=1"] {
        let raw = RawPluginsConfig { set: vec![assignment.to_owned()], ..RawPluginsConfig::default() };
        assert!(PluginsConfig::try_from(raw).unwrap_err().reason.contains(assignment));
    }
}

fn with_secret() -> BTreeMap<String, ConfigKey> {
    toml::from_str("api-key = { type = 'secret', max = 20 }").unwrap()
}

#[test]
fn a_secret_comes_from_a_variable_a_file_or_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "from a file\n").unwrap();
    let path = path.to_str().unwrap();
    let in_settings = format!("mailer.config.api-key = {{ file = '{path}' }}");
    for (plugins, value) in [
        (plugins("", &[], &[("TICKETING_API_KEY", "from a variable")]), "from a variable"),
        (plugins("", &[], &[("TICKETING_API_KEY_FILE", path)]), "from a file"),
        (plugins(&in_settings, &[], &[]), "from a file"),
        (plugins("mailer.config.api-key = 'plain'", &[], &[]), "plain"),
    ] {
        let declared = with_secret();
        plugins.check_all_used([("mailer", &declared)]).unwrap();
        let setting = plugins.settings("mailer", &declared).unwrap()["api-key"].clone();
        assert_eq!((setting.value.as_str(), setting.shown()), (value, "(secret)"));
        assert!(!format!("{setting:?} {plugins:?}").contains(value));
    }
}

#[test]
fn a_wrong_secret_is_refused_and_never_shown() {
    let long = "a secret that is too long";
    for (plugins, problem) in [
        (plugins("", &[&format!("mailer.api-key={long}")], &[]), "name a file in TICKETING_API_KEY_FILE"),
        (plugins("", &[], &[("TICKETING_API_KEY", long)]), "25 bytes is above the most, 20"),
        (plugins("", &[], &[("TICKETING_API_KEY_FILE", "/nowhere/key")]), "/nowhere/key: No such file"),
        (plugins("", &[], &[("TICKETING_API_KEY", long), ("TICKETING_API_KEY_FILE", "/k")]), "set one of them"),
        (plugins(&format!("mailer.config.api-key = '{long}'"), &[], &[]), "above the most"),
        (plugins(&format!("mailer.config.api-key = ['{long}']"), &[], &[]), "is not a secret"),
    ] {
        let refusal = plugins.settings("mailer", &with_secret()).unwrap_err().to_string();
        assert!(refusal.contains(problem) && !refusal.contains(long), "{refusal}");
    }
    let plugins = plugins("", &[], &[("TICKETING_GREETING_FILE", "/k")]);
    let refusal = plugins.check_all_used([("mailer", &declared())]).unwrap_err().to_string();
    assert!(refusal.contains("TICKETING_GREETING_FILE: no such setting"), "only a secret has a file: {refusal}");
}
