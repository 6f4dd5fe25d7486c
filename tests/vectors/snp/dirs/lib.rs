//! The one function that the crate `sev` calls, without the dependencies of the real crate: `option-ext` is under
//! MPL-2.0. The answer keeps `sev` out of the user's folders.

use std::path::PathBuf;

/// No folder for caches.
pub fn cache_dir() -> Option<PathBuf> {
    None
}
