//! What a firmware hands to Linux, as bytes: the zero page and the ACPI tables. No code here
//! touches memory; the stub puts the bytes where they belong.

pub mod acpi;
pub mod cc_blob;
pub mod efi;
pub mod zero_page;
