//! The selector rules of the API.
