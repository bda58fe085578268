//! OTLP messages as bytes: their shape, what may stand in them, and the rewriting of them.
//!
//! Nothing here knows of requests, senders or back ends, and no module names one outside this folder: the fuzz targets
//! compile the folder by itself.

pub mod claims;
pub mod fields;
mod folding;
pub mod json;
mod needles;
pub mod policy;
pub mod splice;
pub mod wire;

#[cfg(test)]
mod differential;
#[cfg(all(fuzzing, not(test)))]
pub mod differential;
