//! Compiles the protos without an installed `protoc`.
use std::path::PathBuf;

const FILES: &[&str] = &[
    "doorward/v1/audit.proto",
    "doorward/v1/authn.proto",
    "doorward/v1/break_glass.proto",
    "doorward/v1/errors.proto",
    "doorward/v1/keys.proto",
    "doorward/v1/principal.proto",
    "doorward/v1/provider_keys.proto",
    "doorward/v1/tenancy.proto",
    "doorward/v1/usage.proto",
    "doorward/v1/watch.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=migrations-postgres");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    let files = compiler.open_files(FILES)?.file_descriptor_set();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // The set as protox writes it keeps extensions such as `google.api.http`.
    std::fs::write(out.join("doorward.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .bytes(".")
        // These hold secrets; their `Debug` is written by hand and shows none.
        .skip_debug([
            ".doorward.v1.VerifyCredentialRequest",
            ".doorward.v1.CreateApiKeyResponse",
            ".doorward.v1.RotateApiKeyResponse",
            ".doorward.v1.SetProviderKeyRequest",
            ".doorward.v1.FetchProviderKeyResponse",
            ".doorward.v1.WatchedKey",
            ".doorward.v1.WatchedUser",
            ".doorward.v1.LoginRequest",
            ".doorward.v1.LoginResponse",
            ".doorward.v1.MfaRequired",
            ".doorward.v1.CompleteLoginRequest",
            ".doorward.v1.CompleteLoginRequest.factor",
            ".doorward.v1.CompleteLoginResponse",
            ".doorward.v1.RefreshSessionRequest",
            ".doorward.v1.RefreshSessionResponse",
            ".doorward.v1.LogoutRequest",
            ".doorward.v1.EnrollTotpRequest",
            ".doorward.v1.EnrollTotpResponse",
            ".doorward.v1.ConfirmTotpRequest",
            ".doorward.v1.ConfirmTotpResponse",
            ".doorward.v1.DisableTotpRequest",
            ".doorward.v1.DisableTotpRequest.factor",
            ".doorward.v1.RegenerateBackupCodesRequest",
            ".doorward.v1.RegenerateBackupCodesResponse",
            ".doorward.v1.BeginPasskeyRegistrationRequest",
            ".doorward.v1.BeginPasskeyRegistrationRequest.factor",
            ".doorward.v1.BeginPasskeyRegistrationResponse",
            ".doorward.v1.FinishPasskeyRegistrationRequest",
            ".doorward.v1.FinishPasskeyRegistrationResponse",
            ".doorward.v1.BeginPasskeyAssertionResponse",
            ".doorward.v1.RemovePasskeyRequest",
            ".doorward.v1.RemovePasskeyRequest.factor",
            ".doorward.v1.BeginPasskeyLoginResponse",
            ".doorward.v1.FinishPasskeyLoginRequest",
            ".doorward.v1.FinishPasskeyLoginResponse",
            ".doorward.v1.ChangePasswordRequest",
            ".doorward.v1.ResetPasswordRequest",
            ".doorward.v1.VerifyEmailRequest",
        ])
        .compile_fds(files)?;
    example()
}

/// The service of `examples/embedded`, where the example is there.
fn example() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from("examples/embedded");
    println!("cargo:rerun-if-changed={}", folder.display());
    if !folder.exists() {
        return Ok(());
    }
    let files = protox::compile(["ticker.proto"], [&folder])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
