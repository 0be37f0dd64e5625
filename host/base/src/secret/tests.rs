use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_reads_a_generated_secret_and_it_survives_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let first = load_or_generate(&path).unwrap();
    assert_eq!(first.expose().len(), 2 * GENERATED_BYTES);
    assert_eq!(mode(&path), 0o600);

    let second = load_or_generate(&path).unwrap();
    assert_eq!(first.expose(), second.expose());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_others_could_read_becomes_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "a secret of my own\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(load_or_generate(&path).unwrap().expose(), "a secret of my own");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn an_empty_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "\n").unwrap();
    assert!(load_or_generate(&path).is_err());
}

#[test]
fn debug_does_not_show_the_value() {
    let shown = format!("{:?}", Secret::new("tell-nobody"));
    assert!(!shown.contains("tell"));
}

#[test]
fn processes_that_start_at_the_same_time_use_one_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let secrets: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| load_or_generate(&path).unwrap().expose().to_owned())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
}
