//! The service: holds the links of a configuration file, watches them, and answers an API and a
//! metrics page.

pub mod config;
