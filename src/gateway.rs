//! The way of a request.
/// What is asked?
pub mod inspect;
/// Which generated images are kept, and where?
pub mod images;
/// Which models are there?
pub mod models;
