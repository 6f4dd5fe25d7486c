//! The processor: isolation as silicon enforces it. Never lies.
