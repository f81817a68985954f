//! What was not admitted cannot be written: outside the crates that own them, nobody makes an `Admitted`, an
//! `AdmittedBlob` or a scope. Each block below must fail to compile for the error it names; the first one compiles,
//! so that none of the others fails for a wrong path.
//!
//! ```
//! use candor_gate::{Admitted, AdmittedBlob};
//! use candor_meta::{ReadScope, WriteScope};
//! fn honest(a: &Admitted, b: &AdmittedBlob, w: &WriteScope, r: &ReadScope) {
//!     let _ = (a.project(), a.topic(), a.batch(), a.rows(), a.epoch(), b.project(), w.project(), r.project());
//! }
//! ```
//!
//! An `Admitted` put together from what an honest one shows:
//! ```compile_fail,E0451
//! use candor_gate::Admitted;
//! fn forge(honest: Admitted) -> Admitted {
//!     Admitted { batch: Default::default(), ..honest }
//! }
//! ```
//!
//! The gate's own constructor, called from outside:
//! ```compile_fail,E0624
//! use candor_gate::Admitted;
//! fn forge(honest: &Admitted) {
//!     let _ = Admitted::new;
//! }
//! ```
//! ```compile_fail,E0624
//! use candor_gate::Admitted;
//! fn forge() {
//!     let _ = Admitted::stream;
//! }
//! ```
//! ```compile_fail,E0624
//! use candor_gate::AdmittedBlob;
//! fn forge() {
//!     let _ = AdmittedBlob::new;
//! }
//! ```
//!
//! An honest one copied, made by default, or its content exchanged:
//! ```compile_fail,E0599
//! use candor_gate::Admitted;
//! fn copy(honest: &Admitted) -> Admitted {
//!     Admitted::default()
//! }
//! ```
//! ```compile_fail,E0616
//! use candor_gate::Admitted;
//! fn change(honest: &mut Admitted) {
//!     honest.batch = bytes::Bytes::from_static(b"raw");
//! }
//! ```
//!
//! A scope without a key or a membership, or turned to another project:
//! ```compile_fail,E0451
//! use candor_meta::WriteScope;
//! fn turn(mine: WriteScope) -> WriteScope {
//!     WriteScope { project: candor_model::ProjectId(2), ..mine }
//! }
//! ```
//! ```compile_fail,E0451
//! use candor_meta::ReadScope;
//! fn turn(mine: ReadScope) -> ReadScope {
//!     ReadScope { project: candor_model::ProjectId(2), ..mine }
//! }
//! ```
