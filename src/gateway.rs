//! The way of a request.
/// How is it said to an upstream that speaks another protocol?
pub mod dialect;
/// Which generated images are kept, and where?
pub mod images;
/// What is asked?
pub mod inspect;
/// Which models are there?
pub mod models;
