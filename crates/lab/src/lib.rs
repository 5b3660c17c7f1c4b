//! The lab: a cloud described by a CloudFormation template, and the world around it, from one file.
//!
//! [`file::Lab::load`] reads and checks the file, [`deploy::deploy`] makes the template's resources in a
//! `model::Region`, and [`plan`] and [`programs`] say what the world needs of one Linux
//! machine.

pub mod deploy;
pub mod error;
pub mod file;
pub mod plan;
pub mod programs;
mod scalar;
pub mod template;
pub mod walk;
pub mod world;
mod yaml;
