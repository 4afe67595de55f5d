"""The pages: server-rendered HTML for the person, the desk, the kiosk, the privacy officer and the auditor."""
