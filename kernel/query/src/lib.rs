//! Queries: SQL over the tables of the projects a caller may read, and the search language.
