"""The injector: AdmissionReview in, patch or refusal out."""
