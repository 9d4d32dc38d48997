module secrets-svc.invalid/pause

go 1.24
