//! Tables of bodies and what becomes of them.
