Feature: updateNotificationChannelSubscription of 0.3
  A client renews the sink's credential, the expiry, or both; nothing else changes.

  Scenario: The sink's next notification carries the new token
    Given the device has a registration
    And a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request is sent
    When the client renews the sink's credential
    Then the answer is 200
    And the answer is a valid Subscription
    And the answer has the x-correlator of the request
    And the answer repeats the request
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the notification carries the renewed token

  Scenario: A later expiry, as often as it is asked for
    Given a request for session-invitation
    And the request has "config.subscriptionExpireTime" 600 s from now
    And the request is sent
    When the client renews the expiry to 900 s from now
    Then the answer is 200
    And the answer is a valid Subscription
    And the answer expires as it was renewed
    When the client asks to update
    Then the answer is 200
    And the answer is as before

  Scenario: Credential and expiry together
    Given a subscription to session-invitation, registration-ends
    When the client renews both
    Then the answer is 200
    And the answer expires as it was renewed

  Scenario: A subscription that nobody made is not found
    Given the id of a subscription that never was
    When the client renews the sink's credential
    Then the error is 404 NOT_FOUND
    And the answer has the x-correlator of the request

  Scenario Outline: A body that is no request is refused
    Given a subscription to session-invitation
    When the client asks to update, with <body> as body
    Then the error is 400 INVALID_ARGUMENT
    When the subscription is read
    Then the answer is as when the subscription was made

    Examples:
      | body                                                                                         |
      | nothing                                                                                      |
      | {}                                                                                           |
      | []                                                                                           |
      | {"sink": "https://localhost/other"}                                                          |
      | {"types": ["org.camaraproject.webrtc-events-subscriptions.v0.registration-ends"]}            |
      | {"config": {"subscriptionDetail": {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}}}     |
      | {"config": {"subscriptionExpireTime": "2099-01-01T00:00:00Z", "subscriptionMaxEvents": 5}}   |
      | {"config": {"subscriptionExpireTime": "2020-01-01T00:00:00Z"}}                               |
      | {"config": {"subscriptionExpireTime": "2099-01-01T00:00:00Z"}, "unheardOf": 1}               |

  Scenario: One that has ended cannot be renewed
    Given the device has a registration
    And a request for session-invitation
    And the request has "config.subscriptionMaxEvents" set to 1
    And the request is sent
    And the gateway publishes a session-invitation
    When the client renews the expiry to 900 s from now
    Then the error is 409 INCOMPATIBLE_STATE

  Scenario: A credential of which the service has no keys cannot be processed
    Given a subscription to session-invitation
    When the client asks for a private key JWT as credential
    Then the answer is 422
    And the answer is a valid ErrorInfo
