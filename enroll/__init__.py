"""Image -> face -> quality -> embedding -> biometric reference; models. The only room that creates references."""
