//! Is an answer there for as long as it should be, and within its bounds?
