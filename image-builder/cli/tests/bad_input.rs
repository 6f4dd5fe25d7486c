//! Bad input to the command: one line that says who is at fault, a status that is not 0, and
//! nothing half-written.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn tessera(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

/// Runs in an empty folder with `files` in it; gives back the one line.
fn refused(files: &[(&str, &[u8])], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let output = tessera(folder.path(), arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(
        output.stdout.is_empty(),
        "{arguments:?} printed a half answer"
    );
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), files.len(), "{arguments:?} left {left:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(text.contains("at fault: your input"), "{text}");
    text
}

#[test]
fn unknown_words_are_named() {
    for (arguments, word) in [
        (&["bulid"][..], "bulid"),
        (&["build", "--polcy", "demo"], "--polcy"),
        (&["build", "--policy", "strict"], "strict"),
        (&["explain", "no-such-thing"], "no-such-thing"),
        (&["inspect"], "FILE.igvm"),
        (&["matrix", "--mode", "sev"], "sev"),
        (&["matrix", "--scenario", "sunny"], "sunny"),
        (&["matrix", "--jobs", "0"], "--jobs"),
        (
            &["matrix", "--junit", "no/such/folder.xml"],
            "no/such/folder.xml",
        ),
        (&["run", "--mode", "sev"], "sev"),
        (&["run", "--mode", "none", "--scenario", "sunny"], "sunny"),
        (&["run", "--mode", "snp", "--direct"], "snp"),
    ] {
        let line = refused(&[], arguments);
        assert!(line.contains(word), "{line}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for command in ["inspect", "measure"] {
        let line = refused(&[], &[command, "gone.igvm"]);
        assert!(line.contains("gone.igvm"), "{line}");
    }
    refused(&[], &["build", "--recipe", "gone.toml"]);
}

#[test]
fn a_file_that_is_no_igvm_file_is_refused() {
    let files: [&[u8]; 4] = [b"", b"IGVM", b"hello, this is text", &[0xFF; 8192]];
    for content in files {
        for command in ["inspect", "measure"] {
            let line = refused(&[("x.igvm", content)], &[command, "x.igvm"]);
            assert!(line.contains("x.igvm"), "{line}");
        }
    }
}

#[test]
fn an_oversized_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("big.igvm")).unwrap();
    file.set_len(1 << 40).unwrap();
    let output = tessera(folder.path(), &["inspect", "big.igvm"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_wrong_recipe_is_refused_before_anything_is_built() {
    for (content, word) in [
        ("polcy = \"demo\"", "polcy"),
        ("modes = [\"sev\"]", "sev"),
        ("modes = []", "no mode"),
        ("policy = \"production\"\ndebug = true", "production"),
        ("policy = ", "not a recipe"),
    ] {
        let files = [("r.toml", content.as_bytes())];
        let line = refused(&files, &["build", "--recipe", "r.toml"]);
        assert!(line.contains(word), "{line}");
    }
}

#[test]
fn an_output_folder_that_is_a_file_is_refused_and_kept() {
    let line = refused(&[("out", b"mine")], &["build", "--out", "out"]);
    assert!(line.contains("out is not a folder"), "{line}");
}

#[test]
fn a_linux_that_is_no_bzimage_is_named_before_anything_is_built() {
    for (file, word) in [
        (&b"\x7FELF and more"[..], "no bzImage"),
        (&[0; 4096], "no bzImage"),
        (&bzimage()[..2048], "truncated"),
    ] {
        let arguments = ["host", "--mode", "none", "--linux", "k", "--initrd", "i"];
        let line = refused(&[("k", file), ("i", b"")], &arguments);
        assert!(line.contains(word), "{line}");
    }
}

#[test]
fn an_initrd_that_does_not_fit_is_named_before_anything_is_built() {
    let kernel = bzimage();
    // This kernel takes 1 MiB.
    let initrd = vec![0; 2 << 20];
    let files = [("k", &kernel[..]), ("i", &initrd[..])];
    let arguments = ["host", "--mode", "none", "--linux", "k", "--initrd", "i"];
    let line = refused(&files, &arguments);
    assert!(line.contains("initrd"), "{line}");
    assert!(line.contains("too large"), "{line}");
}

/// A setup header as a 64-bit kernel has it, and a little code.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 5 * 512 + 1024];
    file[0x1F1] = 4;
    file[0x1F4] = 64;
    file[0x1FE..0x202].copy_from_slice(&[0x55, 0xAA, 0xEB, 0x6A]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&[0x0F, 2]);
    (file[0x211], file[0x234], file[0x236]) = (1, 1, 0x7F);
    file[0x230..0x234].copy_from_slice(&0x20_0000u32.to_le_bytes());
    file[0x238..0x23C].copy_from_slice(&2047u32.to_le_bytes());
    file[0x22C..0x230].copy_from_slice(&0x20F_FFFFu32.to_le_bytes());
    file[0x258..0x260].copy_from_slice(&0x100_0000u64.to_le_bytes());
    file[0x260..0x264].copy_from_slice(&0x100_0000u32.to_le_bytes());
    file
}
