//! The data directory and the ports of a host.

use super::{ended, free_port, in_shell, link_to, may_mount, names, refusal, wrapped};
use crate::support::{Host, Setup};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    time::{Duration, Instant},
};

async fn refused_beside(host: &Host, setup: &Setup) {
    let begun = Instant::now();
    let line = refusal(&ended(setup.command("serve")).await);
    let owner = format!("in use by process {} on ", host.id());
    assert!(line.contains(&owner) && line.contains("data"), "{line}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    host.visitor().get("/").await;
}

#[tokio::test]
async fn one_host_has_a_data_directory_whichever_path_leads_to_it() {
    let mut host = Setup::without_components().start().await;
    refused_beside(&host, &host.setup.clone()).await;
    let data = host.setup.data();
    refused_beside(&host, &host.setup.clone().data_at(&link_to(&data, "link"))).await;
    refused_beside(&host, &host.setup.clone().data_at(&data.join("../data/."))).await;
    if may_mount() {
        let mounted = data.with_file_name("mounted");
        fs::create_dir(&mounted).unwrap();
        let script = format!("mount --bind {data:?} {mounted:?} && exec \"$0\" \"$@\"");
        let setup = host.setup.clone().data_at(&mounted);
        let command = wrapped(&setup, "unshare", &["--mount", "sh", "-c", &script]);
        assert!(refusal(&ended(command).await).contains(&format!("process {} on", host.id())));
    }
    fs::remove_file(host.setup.data().join("host.lock")).unwrap();
    let line = refusal(&ended(host.setup.command("serve")).await);
    assert!(line.contains(&format!("in use by process {}:", host.id())), "{line}");
    // The lock does not survive the process.
    host.kill().await;
    host.start_again().await;
    refused_beside(&host, &host.setup.clone()).await;
}

#[tokio::test]
async fn two_hosts_that_start_at_once_do_not_share_a_directory() {
    for _ in 0..2 {
        let setup = Setup::without_components();
        let starts = (0..4).map(|_| {
            let setup = setup.clone();
            async move { tokio::time::timeout(Duration::from_secs(8), setup.command("serve").output()).await }
        });
        let ended = futures::future::join_all(starts).await;
        let refused: Vec<_> = ended.into_iter().flatten().map(Result::unwrap).collect();
        assert_eq!(refused.len(), 3, "one goes on");
        assert!(refused.iter().all(|output| refusal(output).contains("in use by")), "{refused:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_or_an_address_of_others_is_known_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let both = format!("127.0.0.1:{}", free_port());
    let setup = Setup::without_components;
    for (setup, setting, cure) in [
        (setup().listen(&address), "http.listen", "choose another port"),
        (setup().admin_listen(&address), "operator.listen", "choose another port"),
        (setup().listen(&both).admin_listen(&both), "listen", "choose another port"),
        (setup().listen("192.0.2.1:0"), "http.listen", "an address of this machine"),
        (setup().admin_listen("[2001:db8::1]:0"), "operator.listen", "choose"),
        (setup().listen("255.255.255.255:0"), "http.listen", "an address of this machine"),
        (setup().admin_listen("224.0.0.1:0"), "operator.listen", "an address of this machine"),
    ] {
        let line = refusal(&ended(setup.command("serve")).await);
        assert!(line.contains(setting) && line.contains(cure), "{line}");
        assert!(!setup.data().exists(), "{line}: {:?}", names(&setup.data()));
    }
}

/// Root without the right to ignore the permissions of files.
const WITHOUT_PRIVILEGES: [&str; 1] = ["--bounding-set=-dac_override,-dac_read_search,-fowner"];

#[tokio::test]
async fn a_directory_that_the_host_cannot_write_is_named_with_its_owner() {
    let setup = Setup::without_components();
    let data = setup.data();
    fs::create_dir(&data).unwrap();
    let is_root = chown(&data, Some(12_345), None).is_ok();
    let command = || match is_root {
        true => wrapped(&setup, "setpriv", &WITHOUT_PRIVILEGES),
        false => setup.command("serve"),
    };
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    if is_root {
        let line = refusal(&ended(command()).await);
        assert!(line.contains("belongs to user 12345") && line.contains("chown -R"), "{line}");
        chown(&data, Some(0), None).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).unwrap();
    let line = refusal(&ended(command()).await);
    assert!(line.contains("allow user") && line.contains("Permission denied"), "{line}");
    assert_eq!(names(&data), Vec::<String>::new());
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    // A file of an earlier start under another user, below the directory.
    for name in ["host.db", "components", "plugins", "components/auth.db"] {
        let path = data.join(name);
        match name.contains('.') {
            true => fs::write(&path, "").unwrap(),
            false => fs::create_dir_all(&path).unwrap(),
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
        let line = refusal(&ended(command()).await);
        assert!(line.contains(&path.display().to_string()), "{name}: {line}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[tokio::test]
async fn a_full_or_read_only_disk_is_named_and_nothing_is_left() {
    if !may_mount() {
        return;
    }
    for (mount, cause, cure) in [
        ("mount -t tmpfs -o size=64k none \"$3\"", "No space left", "free some space"),
        ("mount -t tmpfs -o size=8m none \"$3\"", "No space left", "another disk"),
        ("mount -t tmpfs -o ro none \"$3\"", "Read-only file system", "mount the disk"),
        (
            "mount -t tmpfs none \"$3\" && touch \"$3/host.db\" && mount -o remount,ro \"$3\"",
            "Read-only",
            "mount the disk",
        ),
    ] {
        let setup = Setup::without_components();
        fs::create_dir(setup.data()).unwrap();
        let script = format!("{mount} || exit 99\n\"$0\" \"$@\"; code=$?; ls \"$3\" | grep -v host.db; exit $code");
        let output = ended(wrapped(&setup, "unshare", &["--mount", "sh", "-c", &script])).await;
        let line = refusal(&output);
        assert!(line.contains(cause) && line.contains(cure), "{mount}: {line}");
    }
}

#[tokio::test]
async fn a_full_folder_for_temporary_files_is_named() {
    if !may_mount() {
        return;
    }
    let setup = Setup::without_components();
    let folder = setup.data().with_file_name("temporary");
    fs::create_dir(&folder).unwrap();
    let setup = setup.variable("TMPDIR", folder.to_str().unwrap());
    let script = format!("mount -t tmpfs -o size=64k none {folder:?} && exec \"$0\" \"$@\"");
    let line = refusal(&ended(wrapped(&setup, "unshare", &["--mount", "sh", "-c", &script])).await);
    assert!(line.contains("temporary files") && line.contains("set TMPDIR") && line.contains("No space"), "{line}");
}

#[tokio::test]
async fn a_check_without_a_place_for_temporary_files_says_so() {
    let setup = Setup::without_components().variable("TMPDIR", "/proc/nothing");
    let output = setup.output("check").await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("TMPDIR") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_directory_that_is_no_directory_is_refused() {
    let setup = Setup::without_components();
    fs::write(setup.data(), "").unwrap();
    assert!(refusal(&ended(setup.command("serve")).await).contains("is a file"));
    fs::remove_file(setup.data()).unwrap();
    std::os::unix::fs::symlink("/proc/nothing/here", setup.data()).unwrap();
    assert!(refusal(&ended(in_shell(&setup, "true")).await).contains("cannot be made"));
}
