"""The gallery: keyed binary sketches in FAISS, exact comparison of sealed candidates. The matching core."""
