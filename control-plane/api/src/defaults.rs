//! The defaults rules of the API.
