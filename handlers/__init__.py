"""The functions that Connexion binds to the operations of the documents in `spec/`."""
