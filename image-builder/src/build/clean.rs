//! `tessera clean`: caches, bare-metal results and our own files in the output folder.

use super::{FILES, Workspace};
use crate::{Failure, Result, setup::Host};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Removes the cache folder, `workspace.target` and the files that `build` wrote to `out`.
/// Returns what was removed. Files of others in `out` stay.
pub fn clean(host: &Host, workspace: &Workspace, out: &Path) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for folder in host.cache().into_iter().chain([workspace.target.clone()]) {
        if gone(&folder, fs::remove_dir_all(&folder))? {
            removed.push(folder);
        }
    }
    for name in FILES {
        let file = out.join(name);
        if gone(&file, fs::remove_file(&file))? {
            removed.push(file);
        }
    }
    // Fails, as it should, while something that is not ours is in there.
    fs::remove_dir(out).ok();
    Ok(removed)
}

/// True if it was removed, false if it was not there.
fn gone(path: &Path, result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io("remove", path, &error)),
    }
}
