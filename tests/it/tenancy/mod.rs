//! Tenants as their admins run them: roles, members, invitations, ownership, settings.

mod command_line;
mod house;
mod invitations;
mod members;
mod ownership;
mod roles;
mod settings;
