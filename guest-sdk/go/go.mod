module granary

go 1.25
