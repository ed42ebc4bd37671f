Feature: Who may do what, under 0.3
  Every operation asks for a valid access token of this version's scopes.

  Scenario Outline: Without valid credentials nothing is done, and the answer gives no reason
    Given a subscription to session-invitation
    When the client asks to <do> with <credentials>
    Then the error is 401 UNAUTHENTICATED
    And the answer asks for a bearer token
    And the answer has the x-correlator of the request
    And the message is the same as without credentials
    When the subscription is read
    Then the answer is 200

    Examples:
      | do     | credentials                   |
      | create | no credentials                |
      | create | an expired token              |
      | create | a token that is none          |
      | create | a token signed by another key |
      | read   | no credentials                |
      | read   | an expired token              |
      | read   | a token that is none          |
      | list   | no credentials                |
      | list   | an expired token              |
      | list   | a token that is none          |
      | update | no credentials                |
      | update | an expired token              |
      | update | a token that is none          |
      | delete | no credentials                |
      | delete | an expired token              |
      | delete | a token that is none          |

  Scenario Outline: The scope of the operation is needed
    Given a subscription to session-invitation
    And the token has every scope but "<scope>"
    When the client asks to <do>
    Then the error is 403 PERMISSION_DENIED

    Examples:
      | do     | scope                                                                                                   |
      | create | webrtc-events-subscriptions:org.camaraproject.webrtc-events-subscriptions.v0.session-invitation:create  |
      | read   | webrtc-events-subscriptions:read                                                                        |
      | list   | webrtc-events-subscriptions:read                                                                        |
      | update | webrtc-events-subscriptions:update                                                                      |
      | delete | webrtc-events-subscriptions:delete                                                                      |

  Scenario Outline: Of several types each needs its scope
    Given the token has every scope but "webrtc-events-subscriptions:org.camaraproject.webrtc-events-subscriptions.v0.<lacks>:create"
    And a request for session-invitation, session-status, registration-ends
    When the request is sent
    Then the error is 403 PERMISSION_DENIED

    Examples:
      | lacks              |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario Outline: The scopes of 0.2 open nothing of 0.3
    Given a subscription to session-invitation
    And the token has the scopes of 0.2 only
    When the client asks to <do>
    Then the error is 403 PERMISSION_DENIED

    Examples:
      | do     |
      | create |
      | read   |
      | list   |
      | update |
      | delete |

  Scenario: The scopes of 0.3 open nothing of 0.2
    When the client asks for its list under 0.2
    Then the error is 403 PERMISSION_DENIED
